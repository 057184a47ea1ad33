// The answers to a CSV file beside its rows: the first ones as a table, all of them to download.

import { parse, serialize } from "./csv_text.js";
import { element, table } from "./dom.js";
import { count, number, percent, withoutRow } from "./format.js";

const SHOWN_ROWS = 100;

let offered = null; // the address of the last download, whose memory is freed with the next one

/** The elements that show `answer` to the CSV text `content`. */
export function csvResult(model, content, answer) {
  const {
    rows: [head, ...rows],
    separator,
  } = parse(content);
  const columns = columnsOf(model, answer);
  const names = columns.map(({ name }) => name);
  const values = (row) => columns.map(({ value }) => value(row));
  const texts = (row) => columns.map(({ value, write = String }) => (value(row) == null ? "" : write(value(row))));
  const full = [[...head, ...names], ...rows.map((row, index) => [...row, ...values(index)])];
  const shown = rows.slice(0, SHOWN_ROWS).map((row, index) => [index + 1, ...texts(index), ...row]);
  return [
    element("div", { class: "tools" }, summary(answer), download(model, serialize(full, separator))),
    element(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Answers" },
      table("Answers", ["row", ...names, ...head], shown, false),
    ),
  ];
}

function summary({ predictions }) {
  const failed = predictions.filter((each) => each === null).length;
  const errors = failed ? `, ${failed} with an error` : "";
  const rest = predictions.length > SHOWN_ROWS ? `; the first ${SHOWN_ROWS} are shown` : "";
  return element("p", { id: "csv-summary" }, `${count(predictions.length - failed, "row")} answered${errors}${rest}.`);
}

function download(model, text) {
  URL.revokeObjectURL(offered);
  offered = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  const attributes = { id: "csv-download", class: "button", download: `${model.name}-predictions.csv`, href: offered };
  return element("a", attributes, "Download as CSV");
}

/** The columns that an answer adds to a table: {name, value(row), write(value)}. */
function columnsOf(model, { predictions, probabilities, errors = [] }) {
  const details = new Map(errors.map(({ row, detail }) => [row, withoutRow(detail)]));
  const shares = (label, index) => ({
    name: `probability ${label}`,
    value: (row) => probabilities[row]?.[index],
    write: percent,
  });
  return [
    ...predicted(model, predictions),
    ...(probabilities ? model.labels.map(shares) : []),
    ...(details.size ? [{ name: "error", value: (row) => details.get(row) }] : []),
  ];
}

function predicted({ task, targets }, predictions) {
  if (task !== "regression") return [{ name: "prediction", value: (row) => predictions[row] }];
  if (targets.length === 1) return [{ name: "prediction", value: (row) => predictions[row], write: number }];
  return targets.map((name, index) => ({
    name: `prediction ${name}`,
    value: (row) => predictions[row]?.[index],
    write: number,
  }));
}
