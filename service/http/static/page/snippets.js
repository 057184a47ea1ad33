// The present request as a command or a program: curl, Python, JavaScript.

import { element, section } from "./dom.js";
import { hasKey } from "./key.js";
import { latest } from "./latest.js";

const PAUSE_MS = 150;
const KEY = "YOUR-API-KEY"; // a copied program must not give the key away
const LANGUAGES = { curl, Python: python, JavaScript: javascript };

/**
 * The panel. `update(path, request)` writes the programs for a request; its `program()` gives what they send: {type,
 * query, text}, or {type, query, file} with a file's name.
 */
export function snippetPanel() {
  const code = element("pre", { id: "snippet", tabindex: "0", role: "tabpanel" });
  const copied = element("span", { id: "copied", class: "quiet", role: "status" });
  const copy = element("button", { id: "copy", type: "button", onclick: copyCode }, "Copy");
  const tabs = Object.keys(LANGUAGES).map((name, index) =>
    element(
      "button",
      {
        id: `tab-${name.toLowerCase()}`,
        type: "button",
        role: "tab",
        "aria-controls": "snippet",
        onclick: () => choose(index),
      },
      name,
    ),
  );
  let chosen = 0;
  let programs = [];

  function choose(index) {
    chosen = index;
    tabs.forEach((tab, each) => {
      tab.setAttribute("aria-selected", String(each === index));
      tab.tabIndex = each === index ? 0 : -1;
    });
    code.setAttribute("aria-labelledby", tabs[index].id);
    code.textContent = programs[index] ?? "";
    copied.textContent = "";
  }

  async function copyCode() {
    try {
      await navigator.clipboard.writeText(code.textContent);
      copied.textContent = "Copied";
    } catch {
      // Browsers give no clipboard to pages over plain HTTP from another machine.
      getSelection().selectAllChildren(code);
      copied.textContent = "Selected: copy with Ctrl+C";
    }
  }

  const update = latest((path, request) => {
    const { query = {}, ...sent } = request.program();
    const url = new URL(path, document.baseURI);
    url.search = new URLSearchParams(query);
    programs = Object.values(LANGUAGES).map((write) => write(url.href, sent));
    choose(chosen);
  }, PAUSE_MS);

  const list = element("div", { role: "tablist", "aria-label": "Language", class: "tabs" }, tabs);
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    choose((chosen + step + tabs.length) % tabs.length);
    tabs[chosen].focus();
  });
  const node = section(
    "snippets",
    "The same from a program",
    element("div", { class: "tools" }, list, copy, copied),
    code,
  );
  return { node, update };
}

function curl(url, { type, text, file }) {
  const body = file
    ? `--data-binary ${shell(`@${file}`)}`
    : `${type === "text/csv" ? "--data-binary" : "-d"} ${shell(text)}`;
  const key = hasKey() ? ` \\\n  -H ${shell(`x-api-key: ${KEY}`)}` : "";
  return `curl ${shell(url)} \\\n  -H ${shell(`content-type: ${type}`)}${key} \\\n  ${body}`;
}

function shell(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function python(url, { type, text, file }) {
  const content = file ? `Path(${literal(file)}).read_bytes()` : literal(text);
  const key = hasKey() ? `"x-api-key": ${literal(KEY)}` : "";
  const headers = [`"content-type": ${literal(type)}`, ...(key ? [key] : [])].join(", ");
  const json = () => [`json=${pythonValue(JSON.parse(text))}`, ...(key ? [`headers={${key}}`] : [])];
  const parameters = type === "application/json" ? json() : [`content=${content}`, `headers={${headers}}`];
  return [
    ...(file ? ["from pathlib import Path", ""] : []),
    "import httpx",
    "",
    "answer = httpx.post(",
    ...[literal(url), ...parameters].map((each) => `    ${each},`),
    ")",
    "answer.raise_for_status()",
    'print(answer.json()["predictions"])',
  ].join("\n");
}

/** A value of JSON as Python writes it. */
function pythonValue(value) {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(pythonValue).join(", ")}]`;
  if (typeof value !== "object") return literal(value);
  return `{${Object.entries(value)
    .map(([key, each]) => `${literal(key)}: ${pythonValue(each)}`)
    .join(", ")}}`;
}

/** A string or number, which JSON, Python and JavaScript write alike. */
function literal(value) {
  return JSON.stringify(value);
}

function javascript(url, { type, text, file }) {
  const body = file
    ? `await readFile(${literal(file)})`
    : type === "application/json"
      ? `JSON.stringify(${text})`
      : literal(text);
  return [
    ...(file ? ['import { readFile } from "node:fs/promises";', ""] : []),
    `const answer = await fetch(${literal(url)}, {`,
    '  method: "POST",',
    `  headers: { "content-type": ${literal(type)}${hasKey() ? `, "x-api-key": ${literal(KEY)}` : ""} },`,
    `  body: ${body},`,
    "});",
    "if (!answer.ok) throw new Error((await answer.json()).detail);",
    "console.log((await answer.json()).predictions);",
  ].join("\n");
}
