// A form for one row of a table: a field for each feature, with its range or categories.

import { element, section, select } from "./dom.js";
import { day, short, withoutRow } from "./format.js";

const MANY_FIELDS = 24; // more can be searched
const LONG_LIST = 25; // more categories are typed, with suggestions
const STEPS = 200;
const OTHER = "another value";

/**
 * The panel of a version with a table. `changed` is called after each change. `start` has values by name, of a form
 * before this one.
 */
export function tableForm({ model, typical, examples }, { changed, start = {} }) {
  const imputes = model.unseen_values === "impute";
  const rows = examples.map((row) => named(row, model.features));
  const fields = model.features.map((feature) => field(feature, imputes, wholeIn(rows, feature), changed));
  const usual = { ...rows[0], ...tidied(typical, fields) };
  let next = 0;

  /** Put a row into the form; fields without a value in it keep theirs. */
  function fill(row) {
    for (const each of fields) if (each.name in row) each.set(row[each.name]);
  }

  function fillExample() {
    fill(rows[next++ % rows.length]);
    changed();
  }

  const buttons = element(
    "div",
    { class: "tools" },
    element("button", { id: "typical", type: "button", onclick: () => (fill(usual), changed()) }, "Typical values"),
    rows.length ? element("button", { id: "example", type: "button", onclick: fillExample }, "Held-out row") : null,
  );
  if (fields.length > MANY_FIELDS) buttons.append(search(fields));
  const node = section(
    "input",
    "Row",
    buttons,
    element(
      "div",
      { id: "form", class: "fields" },
      fields.map((each) => each.node),
    ),
  );
  fill(usual);
  fill(start);

  return {
    node,
    fields,
    /** The row by feature name. */
    row: () => Object.fromEntries(fields.map((each) => [each.name, each.get()])),
    set: (name, value) => fields.find((each) => each.name === name).set(value),
    /** Mark the fields that the server's `errors` name. */
    mark(errors) {
      for (const each of fields) each.mark(errors.find((error) => error.feature === each.name)?.detail ?? "");
    },
  };
}

function search(fields) {
  const input = element("input", { id: "field-search", type: "text", autocomplete: "off" });
  input.addEventListener("input", () => {
    const wanted = input.value.trim().toLowerCase();
    for (const each of fields) each.node.hidden = !each.name.toLowerCase().includes(wanted);
  });
  return element("label", {}, "Find a feature ", input);
}

/** An example row by name; it may be a flat list. */
export function named(row, features) {
  if (!Array.isArray(row)) return row;
  return Object.fromEntries(features.map((feature, index) => [feature.name, row[index]]));
}

/** Whether a feature only has integers, as far as one can see. */
function wholeIn(rows, feature) {
  const values = [feature.min, feature.max, ...rows.map((row) => row[feature.name])];
  return values.every((value) => value == null || Number.isInteger(value));
}

function field(feature, imputes, whole, changed) {
  const id = `field-${encodeURIComponent(feature.name)}`; // an id has no spaces
  const control = controlOf(feature, id, whole);
  const missing = element("input", { type: "checkbox" });
  const error = element("p", { id: `${id}-error`, class: "field-error" });
  const hint = element("span", { id: `${id}-hint`, class: "quiet" }, hintOf(feature));
  const mayMiss = feature.missing || (imputes && feature.default != null);
  const maybe = element(
    "label",
    { class: "missing" },
    missing,
    " missing",
    element("span", { class: "spoken" }, `: ${feature.name}`),
  );
  const node = element(
    "div",
    { class: "field" },
    element("div", { class: "field-head" }, element("label", { for: id }, feature.name), mayMiss ? maybe : null, hint),
    control.node,
    error,
  );
  control.input.setAttribute("aria-describedby", `${id}-hint ${id}-error`);
  control.node.addEventListener("input", changed);
  missing.addEventListener("change", () => (sync(), changed()));

  function sync() {
    for (const each of control.parts) each.disabled = missing.checked;
  }

  return {
    name: feature.name,
    feature,
    whole,
    node,
    get: () => (missing.checked ? null : control.get()),
    set(value) {
      missing.checked = value === null && mayMiss;
      if (value !== null) control.set(value);
      sync();
    },
    mark(text) {
      error.textContent = withoutRow(text);
      control.input.toggleAttribute("aria-invalid", Boolean(text));
      if (text) control.input.setAttribute("aria-invalid", "true");
    },
  };
}

function hintOf({ kind, min, max, categories }) {
  if (kind === "numeric") return min < max ? `${short(min)} to ${short(max)}` : "";
  if (kind === "categorical") return `${categories.length} categories`;
  if (kind === "datetime" && max > 1) return `${day(min)} to ${day(max)}`;
  return "";
}

/** The input of a feature: {node, input, parts, get, set}. */
function controlOf(feature, id, whole) {
  if (feature.kind === "numeric") return numberControl(feature, id, whole);
  if (feature.kind === "boolean") return boolean(id);
  if (feature.kind !== "categorical") return text({ id, type: "text", spellcheck: "false" });
  return feature.categories.length > LONG_LIST ? suggested(feature, id) : choice(feature, id);
}

function text(attributes, ...beside) {
  const input = element("input", { autocomplete: "off", ...attributes });
  const set = (value) => (input.value = value);
  return {
    node: element("div", { class: "control" }, input, ...beside),
    input,
    parts: [input],
    get: () => input.value,
    set,
  };
}

/** A number and a slider over its range in training. What is no number is sent as it is: the server may read it. */
function numberControl({ name, min, max }, id, whole) {
  const input = element("input", { id, type: "text", inputmode: "decimal", autocomplete: "off" });
  const step = whole ? Math.max(1, Math.round((max - min) / STEPS)) : "any";
  const slider = element("input", { type: "range", min, max, step, "aria-label": `${name}, slider`, tabindex: "-1" });
  input.addEventListener("input", () => (slider.value = input.value));
  slider.addEventListener("input", () => (input.value = tidy(slider.valueAsNumber, { min, max }, whole)));

  function get() {
    const value = Number(input.value);
    return input.value.trim() === "" || Number.isNaN(value) ? input.value : value;
  }

  function set(value) {
    input.value = slider.value = value;
  }

  const parts = max > min ? [input, slider] : [input];
  return { node: element("div", { class: "control" }, parts), input, parts, get, set };
}

/** A number with as many digits as tell 200 values of its range apart. */
function tidy(value, { min, max }, whole) {
  if (whole) return Math.round(value);
  const digits = Math.ceil(Math.log10(STEPS / (max - min || 1)));
  return Number(value.toFixed(Math.min(Math.max(digits, 0), 20)));
}

function tidied(row, fields) {
  const rounded = fields.map(({ name, feature, whole }) => [
    name,
    feature.kind === "numeric" ? tidy(row[name], feature, whole) : row[name],
  ]);
  return Object.fromEntries(rounded.filter(([name]) => name in row));
}

function boolean(id) {
  const input = select({ id }, [
    ["true", "true"],
    ["false", "false"],
  ]);
  const set = (value) => (input.value = String(value));
  return {
    node: element("div", { class: "control" }, input),
    input,
    parts: [input],
    get: () => input.value === "true",
    set,
  };
}

function choice({ categories, other }, id) {
  const options = [...categories, ...(other && !categories.includes(OTHER) ? [OTHER] : [])];
  const input = select(
    { id },
    options.map((each) => [each, each]),
  );
  const set = (value) => (input.value = options.includes(value) ? value : options.at(-1));
  return { node: element("div", { class: "control" }, input), input, parts: [input], get: () => input.value, set };
}

function suggested({ categories }, id) {
  const list = element(
    "datalist",
    { id: `${id}-list` },
    categories.map((each) => element("option", { value: each })),
  );
  return text({ id, type: "text", list: `${id}-list` }, list);
}
