// How the answer moves along one feature while the others stay as they are: one request of about 60 rows.

import { predict } from "./api.js";
import { axisOf } from "./curve_axis.js";
import { element, section, select, table } from "./dom.js";
import { number, percent } from "./format.js";
import { latest } from "./latest.js";
import { categoryBars, line } from "./plot.js";

const PAUSE_MS = 120;

/** The panel for a version; `update(row)` draws it for a row. Null if no feature can be moved. */
export function curvePanel({ model, important }, form, path) {
  const movable = form.fields.map((field) => [field, axisOf(field)]).filter(([, axis]) => axis);
  if (!movable.length) return null;
  const names = movable.map(([{ name }]) => name);
  const first = important.find((name) => names.includes(name)) ?? names[0];
  const along = select(
    { id: "curve-feature" },
    names.map((name) => [name, name]),
    first,
  );
  const outputs = model.task === "regression" ? model.targets : model.labels.map(String);
  const output = select(
    { id: "curve-output" },
    outputs.map((name, index) => [String(index), name]),
  );
  const plot = element("div", { id: "curve-plot" });
  const values = element("div", {
    class: "scroll",
    tabindex: "0",
    role: "region",
    "aria-label": "Values of the curve",
  });
  const problem = element("p", { class: "problem", hidden: true });
  let row = null;
  let answered = null;
  let isChosen = false; // until a class is chosen, the predicted one is shown

  const draw = latest(async () => {
    try {
      answered = await ask();
      show(answered);
      problem.hidden = true;
    } catch (error) {
      problem.hidden = false;
      problem.textContent = error.message;
    }
  }, PAUSE_MS);

  async function ask() {
    const [field, axis] = movable.find(([{ name }]) => name === along.value);
    const present = row[field.name];
    const body = JSON.stringify([row, ...axis.steps.map((value) => ({ ...row, [field.name]: value }))]);
    const { answer } = await predict(path, body, "application/json");
    return { field, axis, present, answer };
  }

  function show({ field, axis, present, answer }) {
    if (!isChosen && answer.classes) output.value = String(answer.classes[0]);
    const index = Number(output.value);
    const shares = Boolean(answer.probabilities);
    const of = shares ? `probability of ${outputs[index]}` : outputs[index];
    const rows = answer.probabilities ?? answer.predictions.map((each) => [each].flat());
    const [now, ...moved] = rows.map((each) => each[index]);
    const points = axis.steps.map((value, step) => [axis.position(value), moved[step]]);
    const texts = points.map(([x, y]) => [axis.write(x), shares ? percent(y) : number(y)]);
    const mark = present === null ? NaN : axis.position(present);
    const head = [field.name, of];
    plot.replaceChildren(
      axis.isLine
        ? line({
            points,
            at: Number.isNaN(mark) ? null : [clamp(mark, points), now],
            name: field.name,
            of,
            write: axis.write,
            described: described(head, texts, points),
            width: plot.clientWidth,
            shares,
          })
        : categoryBars({ points, present: mark, shares }),
    );
    values.replaceChildren(table("Values", head, texts));
  }

  along.addEventListener("change", () => draw());
  output.addEventListener("change", () => ((isChosen = true), draw()));
  const node = section(
    "curve",
    "How the prediction changes with one feature",
    element(
      "div",
      { class: "tools" },
      element("label", {}, "Feature ", along),
      outputs.length > 1 ? element("label", {}, "Show ", output) : null,
    ),
    problem,
    plot,
    element("details", {}, element("summary", {}, "Values"), values),
  );

  new ResizeObserver(() => answered && show(answered)).observe(plot);

  function update(next) {
    row = next;
    draw();
  }

  return { node, update };
}

function clamp(value, points) {
  return Math.min(Math.max(value, points[0][0]), points.at(-1)[0]);
}

/** A curve in words: its ends and extremes. */
function described([x, y], texts, points) {
  const heights = points.map(([, value]) => value);
  const at = (index) => `${texts.at(index)[1]} at ${texts.at(index)[0]}`;
  const [high, low] = [Math.max(...heights), Math.min(...heights)].map((value) => at(heights.indexOf(value)));
  return `${y} along ${x}: ${at(0)}, ${at(-1)}; highest ${high}, lowest ${low}. The values are below as a table.`;
}
