// Grey pixels: from a canvas or a picture to the grid of a model, and back.

const MOST_PIXELS = 4_000_000; // larger pictures are first made smaller by the browser

/** The grey values (0–255) of a canvas that is `scale` times the grid: the mean of each square. */
export function gridOf(canvas, width, height, scale) {
  const { data } = canvas.getContext("2d").getImageData(0, 0, width * scale, height * scale);
  const grid = new Uint8ClampedArray(width * height);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      let sum = 0;
      for (let y = row * scale; y < (row + 1) * scale; y++) {
        for (let x = column * scale; x < (column + 1) * scale; x++) sum += data[4 * (y * width * scale + x)];
      }
      grid[row * width + column] = sum / (scale * scale);
    }
  }
  return grid;
}

/** The grey values of a picture, read and resized as the server does to within one level: on white, by luma. */
export function gridOfPicture(picture, width, height) {
  const shrink = Math.min(1, Math.sqrt(MOST_PIXELS / (picture.width * picture.height)));
  const [w, h] = [Math.max(1, Math.round(picture.width * shrink)), Math.max(1, Math.round(picture.height * shrink))];
  const context = new OffscreenCanvas(w, h).getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, w, h);
  context.drawImage(picture, 0, 0, w, h);
  const { data } = context.getImageData(0, 0, w, h);
  const grey = new Float32Array(w * h);
  for (let i = 0; i < grey.length; i++) {
    grey[i] = Math.round(0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2]);
  }
  const narrow = resample(grey, w, h, width);
  const turned = transpose(narrow, width, h);
  return Uint8ClampedArray.from(transpose(resample(turned, h, width, height), height, width));
}

/** Resize the rows of an image (height, from) to the width `to`. The filter widens with the scale, as Pillow's does. */
function resample(values, from, height, to) {
  const scale = from / to;
  const reach = Math.max(scale, 1);
  const result = new Float32Array(to * height);
  for (let column = 0; column < to; column++) {
    const center = (column + 0.5) * scale;
    const first = Math.max(0, Math.round(center - reach));
    const last = Math.min(from, Math.round(center + reach));
    const weights = [];
    for (let x = first; x < last; x++) weights.push(Math.max(0, 1 - Math.abs((x + 0.5 - center) / reach)));
    const whole = weights.reduce((sum, weight) => sum + weight, 0);
    for (let row = 0; row < height; row++) {
      let sum = 0;
      weights.forEach((weight, index) => (sum += weight * values[row * from + first + index]));
      result[row * to + column] = Math.round(sum / whole);
    }
  }
  return result;
}

function transpose(values, width, height) {
  const result = new Float32Array(values.length);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) result[column * height + row] = values[row * width + column];
  }
  return result;
}

/** A grid as a PNG file in base64. */
export function pngOf(grid, width, height) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  paint(canvas, grid, width, height);
  return canvas.toDataURL("image/png").split(",")[1];
}

/** Draw a grid on a canvas, over all of it, in squares. `brightest` is the value that is drawn white. */
export function paint(canvas, grid, width, height, brightest = 255) {
  const small = new OffscreenCanvas(width, height);
  const context = small.getContext("2d");
  const image = context.createImageData(width, height);
  grid.forEach((value, index) => {
    const grey = (255 * value) / brightest;
    image.data.set([grey, grey, grey, 255], 4 * index);
  });
  context.putImageData(image, 0, 0);
  const target = canvas.getContext("2d");
  target.imageSmoothingEnabled = false;
  target.drawImage(small, 0, 0, canvas.width, canvas.height);
}

/** Whether the background of these images, each a flat list of pixels, is light: what most of their borders are. */
export function isOnWhite(images, width, height, brightest) {
  const border = images.flatMap((image) => image.filter((_, index) => isBorder(index, width, height)));
  return border.filter((value) => value > brightest / 2).length > border.length / 2;
}

function isBorder(index, width, height) {
  const [row, column] = [Math.floor(index / width), index % width];
  return row === 0 || column === 0 || row === height - 1 || column === width - 1;
}
