// A curve of a figure over the last minutes, as SVG.

import { svg } from "./dom.js";

const [WIDTH, HEIGHT, MARGIN] = [160, 36, 2];

/**
 * Draw a curve into `place`, from 0 to the largest value.
 * @param {{at_s: number, value: number|undefined}[]} points Ascending; undefined where nothing is known.
 * @param {{now_s: number, span_s: number, gap_s: number, text: (value: number) => string}} scale Points that are more
 *   than `gap_s` apart are not joined; `text` writes a value for screen readers.
 */
export function sparkline(place, points, { now_s, span_s, gap_s, text }) {
  const curve = place.firstElementChild ?? place.appendChild(empty());
  const known = points.filter(({ value }) => Number.isFinite(value));
  const top = Math.max(...known.map(({ value }) => value), 0) || 1;
  const x = (at_s) => (WIDTH * (1 - (now_s - at_s) / span_s)).toFixed(1);
  const y = (value) => (HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (Math.max(value, 0) / top)).toFixed(1);
  const pieces = split(points, gap_s);
  curve.setAttribute("aria-label", described(known, text));
  const [area, line] = curve.children;
  line.setAttribute("d", pieces.map((piece) => `M${joined(piece, x, y)}`).join(""));
  area.setAttribute("d", pieces.map((piece) => closed(piece, x, y)).join(""));
}

function empty() {
  const attributes = { class: "sparkline", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" };
  return svg("svg", attributes, svg("path", { class: "area" }), svg("path", { class: "line" }));
}

function joined(piece, x, y) {
  const points = piece.map(({ at_s, value }) => `${x(at_s)} ${y(value)}`);
  return [...points, points.at(-1)].join("L"); // a single point shows as a dot
}

function closed(piece, x, y) {
  return `M${x(piece[0].at_s)} ${y(0)}L${joined(piece, x, y)}L${x(piece.at(-1).at_s)} ${y(0)}Z`;
}

/** The runs of known points that belong together. */
function split(points, gap_s) {
  const pieces = [];
  let before;
  for (const point of points) {
    if (Number.isFinite(point.value)) {
      if (before === undefined || point.at_s - before.at_s > gap_s) pieces.push([]);
      pieces.at(-1).push(point);
      before = point;
    } else {
      before = undefined;
    }
  }
  return pieces;
}

function described(known, text) {
  if (!known.length) return "No values yet";
  const values = known.map(({ value }) => value);
  return `From ${text(Math.min(...values))} to ${text(Math.max(...values))}, now ${text(values.at(-1))}`;
}
