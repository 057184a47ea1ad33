// How the answer moves along one feature while the others stay as they are: one request of about 60 rows.

import { predict } from "./api.js";
import { element, section, select, table } from "./dom.js";
import { number, percent, short } from "./format.js";
import { latest } from "./latest.js";
import { categoryBars, line } from "./plot.js";

const POINTS = 60;
const MOST_CATEGORIES = 60;
const PAUSE_MS = 120;

/** The panel for a version; `update(row)` draws it for a row. Null if no feature can be moved. */
export function curvePanel({ model, important }, form, path) {
  const movable = form.fields.filter((field) => stepsOf(field).length > 1);
  if (!movable.length) return null;
  const first = important.find((name) => movable.some((field) => field.name === name)) ?? movable[0].name;
  const along = select(
    { id: "curve-feature" },
    movable.map(({ name }) => [name, name]),
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
    const field = movable.find(({ name }) => name === along.value);
    const present = row[field.name];
    const steps = stepsOf(field);
    const body = JSON.stringify([row, ...steps.map((value) => ({ ...row, [field.name]: value }))]);
    const { answer } = await predict(path, body, "application/json");
    return { field, present, steps, answer };
  }

  function show({ field, present, steps, answer }) {
    if (!isChosen && answer.classes) output.value = String(answer.classes[0]);
    const index = Number(output.value);
    const rows = answer.probabilities ?? answer.predictions.map((each) => [each].flat());
    const [now, ...moved] = rows.map((each) => each[index]);
    const points = steps.map((value, step) => [field.feature.kind === "numeric" ? value : String(value), moved[step]]);
    const of = answer.probabilities ? `probability of ${outputs[index]}` : outputs[index];
    const head = [field.name, of];
    const shares = Boolean(answer.probabilities);
    const at = typeof present === "number" ? [clamp(present, points), now] : null;
    const drawn =
      field.feature.kind === "numeric"
        ? line({
            points,
            at,
            name: field.name,
            of,
            described: described(head, points),
            width: plot.clientWidth,
            shares,
          })
        : categoryBars({ points, present: String(present), shares });
    plot.replaceChildren(drawn);
    const write = shares ? percent : number;
    values.replaceChildren(
      table(
        "Values",
        head,
        points.map(([x, y]) => [typeof x === "number" ? short(x) : x, write(y)]),
      ),
    );
  }

  along.addEventListener("change", () => draw());
  output.addEventListener("change", () => ((isChosen = true), draw()));
  const node = section(
    "curve",
    "How the answer changes with one feature",
    element(
      "div",
      { class: "tools" },
      element("label", {}, "Along ", along),
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

/** The values that a feature takes along the curve. */
function stepsOf({ feature, whole }) {
  if (feature.kind === "boolean") return [false, true];
  if (feature.kind === "categorical") return feature.categories.slice(0, MOST_CATEGORIES);
  if (feature.kind !== "numeric" || !(feature.max > feature.min)) return [];
  const step = (feature.max - feature.min) / (POINTS - 1);
  const values = Array.from({ length: POINTS }, (_, index) => feature.min + index * step);
  return whole ? [...new Set(values.map(Math.round))] : values;
}

function clamp(value, points) {
  return Math.min(Math.max(value, points[0][0]), points.at(-1)[0]);
}

function described([x, y], points) {
  const [start, end] = [points[0], points.at(-1)];
  const high = points.reduce((best, point) => (point[1] > best[1] ? point : best));
  const low = points.reduce((best, point) => (point[1] < best[1] ? point : best));
  const at = ([a, b]) => `${number(b)} at ${number(a)}`;
  const extremes = `highest ${at(high)}, lowest ${at(low)}`;
  return `${y} along ${x}: ${at(start)}, ${at(end)}; ${extremes}. The values are below as a table.`;
}
