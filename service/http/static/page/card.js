// The card of a version: scores on held-out rows, pictures of its errors, and what it was made from.

import { cardUrl } from "./api.js";
import { element, section, table } from "./dom.js";
import { count, short } from "./format.js";

const SCORES = {
  accuracy: "Accuracy",
  balanced_accuracy: "Balanced accuracy",
  log_loss: "Log-loss",
  roc_auc: "ROC-AUC",
  average_precision: "Average precision",
  ece: "Calibration error",
  mae: "Mean absolute error",
  rmse: "Root mean squared error",
  r2: "R²",
};
const PICTURES = {
  "confusion.png": "Confusion matrix",
  "reliability.png": "Calibration",
  "predicted.png": "Predictions against true values",
  "importance.png": "Feature importance",
  "mistakes.png": "Most confident mistakes",
  "learning.png": "Learning curve",
};

/** The panel of a version. */
export function cardPanel({ model, baseline, card }) {
  const url = (file) => cardUrl(model.name, model.version, file);
  const picture = ([file, caption]) => {
    const image = element("img", { alt: `${caption} of ${model.name}, version ${model.version}` });
    loadInSight(image, url(file));
    return element("figure", {}, element("a", { href: url(file) }, image), element("figcaption", {}, caption));
  };
  const full = card.includes("card.html") ? "card.html" : card.find((file) => file === "README.md");
  return section(
    "card",
    "Model card",
    element("div", { class: "card" }, scores(model, baseline), facts(model)),
    element(
      "div",
      { class: "pictures" },
      Object.entries(PICTURES)
        .filter(([file]) => card.includes(file))
        .map(picture),
    ),
    full ? element("p", {}, element("a", { id: "card-link", href: url(full) }, "Read the full card")) : null,
  );
}

/** Load a picture once it is almost in sight: most of a page's weight is pictures, which many never scroll to. */
function loadInSight(image, url) {
  const observer = new IntersectionObserver(
    ([entry]) => {
      if (!entry.isIntersecting) return;
      image.src = url;
      observer.disconnect();
    },
    { rootMargin: "100px" },
  );
  observer.observe(image);
}

function scores({ scores: found, data }, baseline) {
  const columns = { ...found, ...(baseline ? { baseline } : {}) };
  const metrics = Object.keys(Object.values(found)[0] ?? {});
  if (!metrics.length) return element("p", { class: "quiet" }, "There are no scores: the network was made elsewhere.");
  const rows = metrics.map((metric) => [
    SCORES[metric] ?? metric,
    ...Object.values(columns).map((each) => (metric in each ? score(each[metric]) : "")),
  ]);
  const test = data.rows?.test;
  return element(
    "div",
    { class: "scroll" },
    table(test ? `On ${count(test, "held-out row")}` : "On held-out rows", ["Score", ...Object.keys(columns)], rows),
  );
}

/** A score: those from 0 to 1 with four decimals. */
function score(value) {
  return Math.abs(value) <= 1 ? value.toFixed(4) : short(value);
}

function facts(model) {
  const { rows } = model.data;
  const known = {
    "Trained on": rows?.train ? `${count(rows.train, "row")} of ${model.data.name}` : model.data.name,
    Made: model.created?.slice(0, 10),
    "Runs on": `${model.provider === "cuda" ? "GPU" : "CPU"}, in ${model.precision}`,
    "Time for a row": `${Math.round(1e6 * (model.costs.run_s + model.costs.row_s))} µs`,
  };
  const entries = Object.entries(known).filter(([, value]) => value);
  return element(
    "dl",
    { class: "facts" },
    entries.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))),
  );
}
