// Draws one line with axes as SVG, or bars for categories, with the present value marked.

import { element, svg } from "./dom.js";
import { percent, short } from "./format.js";

const HEIGHT = 280;
const NARROWEST = 260;
const [LEFT, RIGHT, TOP, BOTTOM] = [64, 16, 12, 44];

/**
 * A line through `points` [[x, y], …] with the mark at `at`. `name` and `of` label the axes, `write` the ticks; `shares`
 * are from 0 to 1.
 */
export function line({ points, at, name, of, write, described, width, shares }) {
  const right = Math.max(width, NARROWEST) - RIGHT;
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  const x = scale([Math.min(...xs), Math.max(...xs)], [LEFT, right], right / 80);
  const y = scale(shares ? [0, 1] : padded(Math.min(...ys), Math.max(...ys)), [HEIGHT - BOTTOM, TOP], 5);
  const path = points
    .map(([a, b], index) => `${index ? "L" : "M"}${x.at(a).toFixed(1)} ${y.at(b).toFixed(1)}`)
    .join("");
  return svg(
    "svg",
    { viewBox: `0 0 ${right + RIGHT} ${HEIGHT}`, role: "img", "aria-label": described, class: "plot" },
    x.ticks.map((tick) => xTick(x.at(tick), write(tick))),
    y.ticks.map((tick) => yTick(y.at(tick), right, short(tick))),
    svg("text", { x: (LEFT + right) / 2, y: HEIGHT - 6, class: "axis-name" }, name),
    svg("text", { x: LEFT + 6, y: TOP + 14, class: "axis-name of" }, of),
    svg("path", { d: path, class: "curve" }),
    at ? mark(x.at(at[0]), y.at(at[1])) : null,
  );
}

/** A bar for each category of `points` [[name, value], …]; the present one is marked. */
export function categoryBars({ points, present, shares }) {
  const values = points.map(([, value]) => value);
  const [low, high] = [Math.min(0, ...values), shares ? 1 : Math.max(0, ...values)];
  const share = (value) => (value - low) / (high - low || 1);
  const rows = points.map(([name, value]) => {
    const fill = element("span", { class: "bar-fill" });
    const [start, end] = [share(value), share(0)].sort((a, b) => a - b);
    fill.style.transform = `translateX(${100 * start}%) scaleX(${end - start})`;
    return element(
      "li",
      { class: name === present ? "best" : "" },
      element("span", { class: "bar-name", title: name }, name),
      element("span", { class: "bar-track", "aria-hidden": "true" }, fill),
      element("span", { class: "bar-share" }, shares ? percent(value) : short(value)),
    );
  });
  return element("ol", { class: "bars", "aria-label": "Answer for each category" }, rows);
}

function xTick(x, text) {
  return svg(
    "g",
    { class: "tick" },
    svg("line", { x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM }),
    svg("text", { x, y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" }, text),
  );
}

function yTick(y, right, text) {
  return svg(
    "g",
    { class: "tick" },
    svg("line", { x1: LEFT, x2: right, y1: y, y2: y }),
    svg("text", { x: LEFT - 8, y: y + 4, "text-anchor": "end" }, text),
  );
}

function mark(x, y) {
  return svg(
    "g",
    { class: "mark" },
    svg("line", { x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM }),
    svg("circle", { cx: x, cy: y, r: 5 }),
  );
}

/** A linear scale from a range of values to one of the drawing, with about `count` round ticks. */
function scale([low, high], [from, to], count) {
  const at = (value) => from + ((value - low) / (high - low || 1)) * (to - from);
  return { at, ticks: ticksOf(low, high, count) };
}

function ticksOf(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((each) => each * power >= rough);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.max(0, Math.floor(high / step) - first + 1) }, (_, index) =>
    Number(((first + index) * step).toPrecision(12)),
  );
}

function padded(low, high) {
  const space = (high - low) * 0.06 || Math.abs(high) * 0.05 || 1;
  return [low - space, high + space];
}
