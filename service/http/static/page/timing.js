// Shows where the time of an answer went: the stages in the server, and the way there and back.

import { element } from "./dom.js";
import { duration } from "./format.js";

const MEANINGS = {
  decode: "reading the request",
  queue: "waiting for its batch",
  infer: "running the network",
  encode: "writing the answer",
};

/** A bar split by stage, with a legend; `show` takes the stages and the whole time in ms. */
export function timing() {
  const total = element("p", { class: "quiet" });
  const split = element("div", { class: "split", "aria-hidden": "true" });
  const legend = element("dl", { class: "legend" });
  const node = element(
    "div",
    { id: "timing", class: "timing", hidden: true },
    element("h3", {}, "Time"),
    split,
    legend,
    total,
  );

  function show(stages, whole) {
    const inServer = stages.reduce((sum, [, ms]) => sum + ms, 0);
    node.hidden = !stages.length;
    split.replaceChildren(...stages.map(([name, ms]) => part(name, ms / (inServer || 1))));
    legend.replaceChildren(...stages.map(([name, ms]) => entry(name, ms)));
    total.textContent = `${duration(inServer)} in the server, ${duration(whole)} as seen from here.`;
  }

  return { node, show };
}

function part(name, share) {
  const node = element("span", { class: `stage-${name}` });
  node.style.flexGrow = share;
  return node;
}

function entry(name, ms) {
  const mark = element("i", { class: `stage-${name}`, "aria-hidden": "true" });
  return element("div", { title: MEANINGS[name] }, element("dt", {}, mark, name), element("dd", {}, duration(ms)));
}
