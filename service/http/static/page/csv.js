// Predicts a whole CSV file, pasted or uploaded: the answers beside its rows, to look at and to download.

import { predict } from "./api.js";
import { csvResult } from "./csv_result.js";
import { serialize } from "./csv_text.js";
import { element, section } from "./dom.js";
import { named } from "./table_form.js";

const LONG_TEXT = 2_000;
const SHOWN_BYTES = 200_000; // more text makes a text field slow; the file is sent all the same

/** The panel for a version. `asked` is called with each request, for the snippets. */
export function csvPanel({ model, examples }, path, { asked }) {
  const text = element("textarea", {
    id: "csv-text",
    rows: 7,
    spellcheck: "false",
    wrap: "off",
    placeholder: placeholderOf(model),
  });
  const file = element("input", { id: "csv-file", type: "file", accept: ".csv,.tsv,.txt,text/csv" });
  const ignore = element("input", { id: "csv-ignore", type: "checkbox" });
  const run = element(
    "button",
    { id: "csv-run", type: "button", class: "primary", onclick: () => send(chosen ?? text.value) },
    "Predict",
  );
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
      result.replaceChildren(...csvResult(model, content, answer));
    } catch (error) {
      result.replaceChildren();
      problem.hidden = false;
      problem.textContent = error.message;
    }
    run.disabled = false;
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

/** What a program sends: the text, or if it is long a file. */
function programOf(content, query) {
  return { type: "text/csv", query, ...(content.length > LONG_TEXT ? { file: "rows.csv" } : { text: content }) };
}

function placeholderOf({ features }) {
  const names = features.slice(0, 6).map((feature) => feature.name);
  return `${names.join(",")}${features.length > names.length ? ",…" : ""}`;
}
