// The parts of a table model: the form with live answers, the curve, and many rows at once.

import { csvPanel } from "./csv.js";
import { curvePanel } from "./curve.js";
import { element } from "./dom.js";
import { tableForm } from "./table_form.js";

/** The panels of a version; `changed` is called with each new request. `start` is the `state()` of those before. */
export function tableInput(version, path, { changed, asked, start }) {
  const form = tableForm(version, { changed: tell, start });
  const curve = curvePanel(version, form, path);
  const many = csvPanel(version, path, { asked });

  function tell() {
    const row = form.row();
    changed({
      body: JSON.stringify([row]),
      type: "application/json",
      program: () => ({ type: "application/json", text: JSON.stringify([row]) }),
    });
  }

  return {
    node: form.node,
    below: element("div", { class: "below" }, curve?.node, many.node),
    begin: tell,
    state: form.row,
    /** The row was answered: draw the curve through it. */
    answered: () => (form.mark([]), curve?.update(form.row())),
    refused: (error) => form.mark(error.errors),
  };
}
