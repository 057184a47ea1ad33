// The input of an image model: draw, upload, paste or drop a picture, or choose a held-out example.

import { element, section } from "./dom.js";
import { drawable } from "./draw.js";
import { gridOf, gridOfPicture, isOnWhite, paint, pngOf } from "./pixels.js";

const CANVAS = 320; // pixels of the canvas, about: a multiple of the model's
const FULL = 255;
const FILES = ["image/png", "image/jpeg", "image/webp"];

/**
 * The panel of a version with images. `changed` is called with each new request, and `failed` with a message.
 * `start` is the `state()` of a panel before this one; listeners end with `signal`.
 */
export function imageInput({ model, brightest, examples }, { changed, failed, start, signal }) {
  const [height, width] = model.input_shape;
  const scale = Math.max(1, Math.round(CANVAS / Math.max(height, width)));
  const whitest = brightest > FULL / 2 ? FULL : brightest; // of images from 0 to 16, say, white is 16
  const onWhite = isOnWhite(examples, width, height, brightest);
  const takesFiles = model.input_dtype === "uint8";
  const size = `${width} × ${height}`;

  const canvas = element("canvas", {
    id: "canvas",
    role: "img",
    "aria-label": "Drawing area. Without a pointer, upload a picture or choose an example.",
    width: width * scale,
    height: height * scale,
  });
  const seen = element("canvas", {
    id: "seen",
    role: "img",
    "aria-label": `The picture in ${size} gray pixels`,
    width,
    height,
  });
  const brush = element("input", {
    id: "brush",
    type: "range",
    min: 1,
    max: 6,
    step: 0.5,
    value: Math.max(1.5, width / 14),
  });
  const eraser = element("input", { id: "eraser", type: "checkbox" });
  const file = element("input", { id: "image-file", type: "file", accept: FILES.join(",") });
  const drawing = drawable(canvas, {
    paper: onWhite ? "#fff" : "#000",
    ink: onWhite ? "#000" : "#fff",
    tool: () => ({ width: brush.value * scale, erases: eraser.checked }),
    changed: drawn,
  });
  const gallery = examples.map(example);
  let state = { grid: null, file: null };

  function drawn() {
    use({ grid: scaled(gridOf(canvas, width, height, scale)), file: null });
  }

  function scaled(grid) {
    return grid.map((value) => (value * whitest) / FULL);
  }

  /** Ask about a picture: pixels from 0 to `whitest`, and the file they came from unless they were drawn. */
  function use(next, chosen = null) {
    state = next;
    paint(seen, state.grid, width, height, whitest);
    for (const button of gallery) button.setAttribute("aria-pressed", button === chosen);
    changed(takesFiles ? requestOf(state, width, height) : pixelsOf(state.grid));
  }

  function useGrid(grid, chosen) {
    drawing.remember();
    paint(canvas, grid, width, height, whitest);
    use({ grid, file: null }, chosen);
  }

  async function useFile(picture) {
    if (!FILES.includes(picture.type))
      return failed(`${picture.name} is no picture that the server reads; choose a PNG, JPEG or WebP file.`);
    const decoded = await createImageBitmap(picture).catch(() => null);
    drawing.clear();
    if (decoded) {
      canvas.getContext("2d").imageSmoothingEnabled = true;
      canvas.getContext("2d").drawImage(decoded, 0, 0, canvas.width, canvas.height);
    }
    if (!decoded && !takesFiles) return failed(`${picture.name} cannot be read; choose another file.`);
    // The server has the last word on a file that this browser cannot show.
    const grid = decoded ? gridOfPicture(decoded, width, height) : new Uint8ClampedArray(width * height);
    use(takesFiles ? { grid, file: picture } : { grid: scaled(grid), file: null });
  }

  function example(pixels, index) {
    const thumbnail = element("canvas", { width, height, "aria-hidden": "true" });
    paint(thumbnail, pixels, width, height, whitest);
    const label = `Held-out example ${index + 1}`;
    const button = element("button", { type: "button", "aria-label": label, "aria-pressed": "false" }, thumbnail);
    button.addEventListener("click", () => useGrid(Uint8ClampedArray.from(pixels), button));
    return button;
  }

  function offer(files) {
    if (files?.length) useFile(files[0]);
    return Boolean(files?.length);
  }

  file.addEventListener("change", () => offer(file.files) && (file.value = ""));
  document.addEventListener("paste", (event) => offer(event.clipboardData.files) && event.preventDefault(), { signal });

  const clear = element("button", { id: "clear", type: "button", onclick: () => (drawing.clear(), drawn()) }, "Clear");
  const undo = element("button", { id: "undo", type: "button", onclick: () => drawing.undo() && drawn() }, "Undo");
  const node = section(
    "input",
    "Picture",
    element(
      "div",
      { class: "easel" },
      element(
        "div",
        {},
        canvas,
        element(
          "div",
          { class: "tools" },
          element("label", {}, "Brush ", brush),
          element("label", {}, eraser, " Eraser"),
          undo,
          clear,
        ),
      ),
      element(
        "div",
        { class: "beside" },
        element(
          "figure",
          { class: "seen" },
          seen,
          element("figcaption", {}, `What the model sees: ${size} gray pixels`),
        ),
        element("label", { class: "upload" }, element("span", {}, "Upload a picture"), file),
        element("p", { class: "quiet" }, "Or draw, paste one, or drop a file here."),
      ),
    ),
    element("h3", { id: "examples-title" }, "Held-out examples"),
    element("div", { id: "examples", class: "gallery", role: "group", "aria-labelledby": "examples-title" }, gallery),
  );
  node.addEventListener("dragover", (event) => (event.preventDefault(), node.classList.add("over")));
  node.addEventListener("dragleave", () => node.classList.remove("over"));
  node.addEventListener("drop", (event) => {
    event.preventDefault();
    node.classList.remove("over");
    offer(event.dataTransfer.files);
  });

  function begin() {
    drawing.clear();
    const fits = start?.grid?.length === width * height;
    if (fits && start.file) useFile(start.file);
    else if (fits) useGrid(start.grid, null);
    else if (gallery.length) gallery[0].click();
    else drawn();
  }

  return { node, begin, state: () => state };
}

/** What to send to a model whose pixels are other numbers: them. */
function pixelsOf(grid) {
  const body = JSON.stringify({ inputs: [[...grid]] });
  return { body, type: "application/json", program: () => ({ type: "application/json", text: body }) };
}

/** What to send: the file itself, so that the server reads it as it reads every client's, or the pixels. */
function requestOf({ grid, file }, width, height) {
  if (file)
    return {
      body: file,
      type: file.type,
      query: { resize: true },
      program: () => ({ type: file.type, query: { resize: true }, file: file.name }),
    };
  const program = () => ({
    type: "application/json",
    text: JSON.stringify({ inputs: [{ b64: pngOf(grid, width, height) }] }),
  });
  return { body: grid, type: "application/octet-stream", query: { dtype: "uint8" }, program };
}
