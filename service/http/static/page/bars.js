// Draws the probabilities of classes as bars that move with each answer.

import { element } from "./dom.js";
import { percent } from "./format.js";

const ALL = 12; // more classes are sorted, and the most probable ones shown
const SHOWN = 10;

/** A list of bars; `show` takes the labels and their probabilities. */
export function bars() {
  const list = element("ol", { id: "bars", class: "bars", "aria-label": "Probabilities" });
  let rows = [];

  function show(labels, probabilities) {
    const order = orderOf(probabilities);
    if (rows.length !== order.length) {
      rows = order.map(bar);
      list.replaceChildren(...rows.map((row) => row.item));
    }
    const best = Math.max(...probabilities);
    order.forEach((label, place) => rows[place].show(labels[label], probabilities[label], best));
  }

  return { node: list, show };
}

/** The labels' indices in their own order, so that bars do not jump; of many the most probable ones. */
function orderOf(probabilities) {
  const order = [...probabilities.keys()];
  if (order.length <= ALL) return order;
  return order.sort((a, b) => probabilities[b] - probabilities[a]).slice(0, SHOWN);
}

function bar() {
  const name = element("span", { class: "bar-name" });
  const fill = element("span", { class: "bar-fill" });
  const share = element("span", { class: "bar-share" });
  const track = element("span", { class: "bar-track", "aria-hidden": "true" }, fill);
  const item = element("li", {}, name, track, share);

  function show(label, probability, best) {
    name.textContent = name.title = String(label);
    fill.style.transform = `scaleX(${probability})`;
    share.textContent = percent(probability);
    item.classList.toggle("best", probability === best);
  }

  return { item, show };
}
