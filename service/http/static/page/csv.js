// Predicts a whole CSV file, pasted or uploaded: the answers beside its rows, to look at and to download.

import { predict } from "./api.js";
import { parse, serialize } from "./csv_text.js";
import { element, section, table } from "./dom.js";
import { count, number, percent, withoutRow } from "./format.js";
import { named } from "./table_form.js";

const SHOWN_ROWS = 100;
const LONG_TEXT = 2_000;
const SHOWN_BYTES = 200_000; // more text makes a text field slow; the file is sent all the same

/** The panel for a version. `asked` is called with each request, for the snippets. */
export function csvPanel({ model, examples }, path, { asked }) {
  const text = element("textarea", { id: "csv-text", rows: 7, spellcheck: "false", wrap: "off", placeholder: placeholderOf(model) });
  const file = element("input", { id: "csv-file", type: "file", accept: ".csv,.tsv,.txt,text/csv" });
  const ignore = element("input", { id: "csv-ignore", type: "checkbox" });
  const run = element("button", { id: "csv-run", type: "button", class: "primary", onclick: () => send(chosen ?? text.value) }, "Predict");
  const sample = element("button", { id: "csv-sample", type: "button", onclick: insert }, "Insert held-out rows");
  const problem = element("p", { id: "csv-problem", class: "problem", role: "alert", hidden: true });
  const result = element("div", { id: "csv-result", "aria-live": "polite" });
  let chosen = null; // the text of a file that is too long to be shown

  async function send(content) {
    run.disabled = true;
    problem.hidden = true;
    try {
      if (!content.trim()) throw new Error("There are no rows yet; paste some with a header line, or upload a file.");
      const query = { on_error: "row", ...(ignore.checked ? { ignore_unknown: true } : {}) };
      asked({ program: () => programOf(content, query) });
      const { answer } = await predict(path, content, "text/csv", query);
      result.replaceChildren(...shown(parse(content), answer));
    } catch (error) {
      result.replaceChildren();
      problem.hidden = false;
      problem.textContent = error.message;
    }
    run.disabled = false;
  }

  function shown({ rows: [head, ...rows], separator }, answer) {
    const errors = new Map((answer.errors ?? []).map((each) => [each.row, withoutRow(each.detail)]));
    const columns = columnsOf(model, answer, errors);
    const extra = (row) => columns.map(({ value }) => value(row));
    const written = (row) => columns.map(({ value, write = String }) => (value(row) == null ? "" : write(value(row))));
    const full = serialize([[...head, ...columns.map(({ name }) => name)], ...rows.map((row, index) => [...row, ...extra(index)])], separator);
    const visible = rows.slice(0, SHOWN_ROWS).map((row, index) => [index + 1, ...written(index), ...row]);
    const failed = answer.predictions.filter((each) => each === null).length;
    const summary = `${count(rows.length - failed, "row")} answered${failed ? `, ${failed} with an error` : ""}${rows.length > SHOWN_ROWS ? `; the first ${SHOWN_ROWS} are shown` : ""}.`;
    const download = element("a", { id: "csv-download", class: "button", download: `${model.name}-predictions.csv`, href: URL.createObjectURL(new Blob([full], { type: "text/csv" })) }, "Download as CSV");
    return [
      element("div", { class: "tools" }, element("p", { id: "csv-summary" }, summary), download),
      element(
        "div",
        { class: "scroll", tabindex: "0", role: "region", "aria-label": "Answers" },
        table("Answers", ["row", ...columns.map(({ name }) => name), ...head], visible, false),
      ),
    ];
  }

  function insert() {
    const names = model.features.map((feature) => feature.name);
    const rows = examples.map((row) => named(row, model.features));
    take(serialize([names, ...rows.map((row) => names.map((name) => row[name]))]));
  }

  function take(content) {
    chosen = content.length > SHOWN_BYTES ? content : null;
    text.value = content.slice(0, SHOWN_BYTES);
    send(content);
  }

  text.addEventListener("input", () => (chosen = null));
  file.addEventListener("change", async () => {
    if (file.files.length) take(await file.files[0].text());
    file.value = "";
  });
  const node = section(
    "csv",
    "Many rows",
    element("label", { for: "csv-text" }, "Paste CSV with a line of column names, or upload or drop a file"),
    text,
    element(
      "div",
      { class: "tools" },
      run,
      examples.length ? sample : null,
      element("label", { class: "upload" }, element("span", {}, "Upload a file"), file),
      element("label", {}, ignore, " Ignore columns that the model does not know"),
    ),
    problem,
    result,
  );
  node.addEventListener("dragover", (event) => event.preventDefault());
  node.addEventListener("drop", async (event) => {
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    take(await event.dataTransfer.files[0].text());
  });
  return { node };
}

/** The columns of an answer: {name, value(row), write}. */
function columnsOf(model, { predictions, probabilities }, errors) {
  const isOne = model.task !== "regression" || model.targets.length === 1;
  const named = isOne
    ? [{ name: "prediction", value: (row) => predictions[row], write: (value) => (model.task === "regression" ? number(value) : String(value)) }]
    : model.targets.map((name, index) => ({ name: `prediction ${name}`, value: (row) => predictions[row]?.[index], write: number }));
  const shares = probabilities
    ? model.labels.map((label, index) => ({ name: `probability ${label}`, value: (row) => probabilities[row]?.[index], write: percent }))
    : [];
  return [...named, ...shares, ...(errors.size ? [{ name: "error", value: (row) => errors.get(row) }] : [])];
}

/** What a program sends: the text, or if it is long a file. */
function programOf(content, query) {
  return { type: "text/csv", query, ...(content.length > LONG_TEXT ? { file: "rows.csv" } : { text: content }) };
}

function placeholderOf({ features }) {
  const names = features.slice(0, 6).map((feature) => feature.name);
  return `${names.join(",")}${features.length > names.length ? ",…" : ""}`;
}
