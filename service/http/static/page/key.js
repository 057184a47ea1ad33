// Sends requests with the visitor's API key, which the tab keeps, and asks for it if the server wants one.

import { element } from "./dom.js";

const STORED = "mlp-serving.key";
let answered = null; // what the open dialog will give
let declined = false;

/** Whether the visitor has given a key. */
export function hasKey() {
  return sessionStorage.getItem(STORED) !== null;
}

/** `fetch` within `timeout` ms. A refusal for the key is the answer only if the visitor gives no other key. */
export async function fetchWithKey(path, timeout, options = {}) {
  for (;;) {
    const key = sessionStorage.getItem(STORED);
    const headers = key === null ? options.headers : { ...options.headers, "x-api-key": key };
    const response = await fetch(path, { ...options, headers, signal: AbortSignal.timeout(timeout) });
    if (response.status !== 401 || declined) return response;
    if (sessionStorage.getItem(STORED) !== key) continue; // another request has asked meanwhile
    answered ??= askForKey(key !== null);
    await answered;
    answered = null;
  }
}

/** Ask in a dialog. A visitor who closes it is not asked again on this page. */
function askForKey(isWrong) {
  const input = element("input", { id: "key", type: "password", required: true, pattern: "[!-~]+", autocomplete: "off" });
  const dialog = element(
    "dialog",
    { id: "key-dialog", class: "panel", "aria-labelledby": "key-title" },
    element(
      "form",
      { method: "dialog" },
      element("h2", { id: "key-title" }, "This server needs an API key"),
      element("p", { role: "status" }, isWrong ? "The server does not know that key." : "Whoever runs it can give you one."),
      element("p", {}, element("label", {}, "API key ", input)),
      element(
        "div",
        { class: "tools" },
        element("button", { id: "key-use", class: "primary", value: "use" }, "Use this key"),
        element("button", { id: "key-none", value: "", formnovalidate: true }, "Continue without a key"),
      ),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      if (dialog.returnValue) sessionStorage.setItem(STORED, input.value);
      else declined = true;
      dialog.remove();
      resolve();
    });
  });
}
