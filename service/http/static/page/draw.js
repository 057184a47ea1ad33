// A canvas to draw on with mouse, finger or pen: strokes, an eraser, undo.

const UNDO = 20;

/**
 * Make `canvas` drawable. `paper` and `ink` are colors, `tool()` gives {width, erases}, `changed` is called with each
 * piece of a stroke.
 */
export function drawable(canvas, { paper, ink, tool, changed }) {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const before = [];
  let last = null;

  function point(event) {
    const box = canvas.getBoundingClientRect();
    const scale = canvas.width / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  }

  function stroke(event) {
    const { width, erases } = tool();
    const pressure = event.pointerType === "pen" ? 0.4 + 1.2 * event.pressure : 1;
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = width * pressure;
    context.strokeStyle = erases ? paper : ink;
    // A fast hand moves further than one event: the browser has kept the points between.
    for (const each of event.getCoalescedEvents?.() ?? [event]) line(point(each));
    line(point(event));
    changed();
  }

  function line(to) {
    context.beginPath();
    context.moveTo(...last);
    context.lineTo(...to);
    context.stroke();
    last = to;
  }

  function remember() {
    before.push(context.getImageData(0, 0, canvas.width, canvas.height));
    if (before.length > UNDO) before.shift();
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || last) return;
    canvas.setPointerCapture(event.pointerId);
    remember();
    last = point(event);
    stroke(event);
    event.preventDefault();
  });
  canvas.addEventListener("pointermove", (event) => last && canvas.hasPointerCapture(event.pointerId) && stroke(event));
  canvas.addEventListener("lostpointercapture", () => (last = null));

  /** Cover all with paper. */
  function clear() {
    remember();
    context.fillStyle = paper;
    context.fillRect(0, 0, canvas.width, canvas.height);
  }

  /** Take the last change back; false if there is none. */
  function undo() {
    const image = before.pop();
    if (image) context.putImageData(image, 0, 0);
    return Boolean(image);
  }

  return { clear, undo, remember };
}
