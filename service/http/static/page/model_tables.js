// What the live view shows of each model: its predictions, drift, versions, and shadow versions.

import { ofModel } from "./history.js";
import { bar, chip } from "./tables.js";
import { count, number, percent } from "./units.js";

const MOST_ROWS = 20;
const LITTLE_DRIFT = 0.1;
const MUCH_DRIFT = 0.2;
const LEVELS = { serving: "good", available: "none", loading: "some", refused: "bad" };

/** The tables of predicted classes or values of each version that predicted something. */
export function balanceTables(scrape, minute, model) {
  const versions = versionsOf(scrape, ["mlp_predictions_total", "mlp_prediction_value_count"], model);
  const tables = versions.map((each) => classTable(scrape, minute, each) ?? valueTable(scrape, minute, each));
  const found = tables.filter(Boolean);
  return found.length ? found : [{ rows: [], more: ["No rows were predicted since the server started."] }];
}

function classTable(scrape, minute, version) {
  const wanted = isOf(version);
  const total = scrape.sum("mlp_predictions_total", wanted);
  if (!total) return undefined;
  const recent = minute.increases("mlp_predictions_total", wanted, "label");
  const recentTotal = minute.increase("mlp_predictions_total", wanted);
  const expected = byLabel(scrape, "mlp_prediction_reference_ratio", version, "label");
  const classes = scrape.samples("mlp_predictions_total", wanted).map(({ labels, value }) => [labels.label, value]);
  const shown = classes.length > MOST_ROWS ? classes.sort((one, other) => other[1] - one[1]) : classes;
  const full = Math.max(...classes.map(([, value]) => value / total), ...expected.values());
  const rows = shown.slice(0, MOST_ROWS).map(([label, value]) => [
    label,
    bar(value / total / full, percent(value / total), expected.get(label) / full || undefined),
    recentTotal ? percent(recent.get(label) / recentTotal) : "",
    expected.has(label) ? percent(expected.get(label)) : "",
  ]);
  return {
    caption: sized(version, total),
    head: ["Class", "Since the start", "Last minute", "Test rows"],
    rows,
    more: left(classes.length, "classes"),
  };
}

function valueTable(scrape, minute, version) {
  const wanted = isOf(version);
  const total = scrape.max("mlp_prediction_value_count", wanted);
  if (!total) return undefined;
  const targets = scrape.samples("mlp_prediction_value_count", wanted).map(({ labels }) => labels.target);
  const rows = targets.slice(0, MOST_ROWS).map((target) => {
    const isTarget = (labels) => wanted(labels) && labels.target === target;
    const mean = scrape.sum("mlp_prediction_value_sum", isTarget) / scrape.sum("mlp_prediction_value_count", isTarget);
    return [target, number(mean)];
  });
  return {
    caption: sized(version, total),
    head: ["Target", "Mean prediction since the start"],
    rows,
    more: left(targets.length, "targets"),
  };
}

/** The tables of drift of each version that is watched. */
export function driftTables(scrape, model) {
  const tables = versionsOf(scrape, ["mlp_drift_rows"], model).map((version) => driftTable(scrape, version));
  if (tables.length) return tables;
  return [
    {
      rows: [],
      more: ["Not watched: --drift-features is 0, or the models have no reference statistics of their training."],
    },
  ];
}

function driftTable(scrape, version) {
  const features = byLabel(scrape, "mlp_feature_drift_psi", version, "feature");
  const missing = byLabel(scrape, "mlp_feature_missing_ratio", version, "feature");
  const unknown = byLabel(scrape, "mlp_feature_unknown_ratio", version, "feature");
  const targets = byLabel(scrape, "mlp_prediction_drift_psi", version, "target");
  const sorted = [...features].sort((one, other) => other[1] - one[1]);
  const without = (name) =>
    [
      missing.has(name) && `${percent(missing.get(name))} missing`,
      unknown.has(name) && `${percent(unknown.get(name))} unknown`,
    ].filter(Boolean);
  const row = (name, drift, besides) => [name, drift.toFixed(2), verdict(drift), besides];
  const rows = [
    ...[...targets].map(([name, drift]) => row(`Predictions: ${name}`, drift, "")),
    ...sorted.slice(0, MOST_ROWS).map(([name, drift]) => row(name, drift, without(name).join(", "))),
  ];
  const counted = scrape.sum("mlp_drift_rows", isOf(version));
  return {
    caption: sized(version, counted),
    head: ["Feature", "Index", "Change", "Values"],
    rows,
    more: rows.length ? left(features.size, "features") : [`${sized(version, counted)} so far, too few to tell.`],
  };
}

function verdict(drift) {
  if (drift > MUCH_DRIFT) return chip("look into it", "bad");
  return drift > LITTLE_DRIFT ? chip("some", "some") : chip("little", "good");
}

/** The tables of versions, from the index of GET /models. */
export function versionTables(index, scrape, model) {
  const infos = new Map(
    scrape
      .samples("mlp_model_info")
      .filter(({ value }) => value === 1)
      .map(({ labels }) => [`${labels.model}/${labels.version}`, labels]),
  );
  const tables = index.models
    .filter(({ name }) => model === "" || name === model)
    .map(({ name, versions }) => ({
      caption: name === index.default ? `${name} (default model)` : name,
      head: ["Version", "State", "In memory", "Runs on"],
      rows: versions.map(({ version, state, loaded }) => {
        const info = infos.get(`${name}/${version}`);
        const runs = state === "serving" && info ? `${info.provider}, ${info.precision}` : "";
        return [String(version), chip(state, LEVELS[state] ?? "none"), loaded ? "yes" : "no", runs];
      }),
      more: versions.filter(({ reason }) => reason).map(({ version, reason }) => `Version ${version}: ${reason}`),
    }));
  return tables.length ? tables : [{ rows: [], more: ["There are no models."] }];
}

/** The table of shadow versions; undefined if there are none. */
export function shadowTable(scrape, model) {
  const rows = versionsOf(scrape, ["mlp_shadow_skipped_rows_total"], model).map((version) => {
    const wanted = isOf(version);
    const compared = scrape.sum("mlp_shadow_rows_total", wanted) ?? 0;
    const agreed = scrape.sum("mlp_shadow_agreed_rows_total", wanted);
    return [
      title(version),
      count(compared),
      compared && agreed !== undefined ? percent(agreed / compared) : "–",
      count(scrape.sum("mlp_shadow_skipped_rows_total", wanted)),
      count(scrape.sum("mlp_shadow_failed_rows_total", wanted)),
    ];
  });
  return rows.length
    ? { caption: "Since the start", head: ["Version", "Rows compared", "Same label", "Skipped", "Failed"], rows }
    : undefined;
}

const title = ({ model, version }) => `${model}, version ${version}`;
const sized = (version, rows) => `${title(version)}: ${count(rows)} ${rows === 1 ? "row" : "rows"}`;
const isOf = (version) => (labels) => labels.model === version.model && labels.version === version.version;
const left = (size, what) => (size > MOST_ROWS ? [`and ${count(size - MOST_ROWS)} more ${what}`] : []);

/** The versions that occur in the labels of these metrics, in order. */
function versionsOf(scrape, names, model) {
  const found = new Map();
  for (const { labels } of names.flatMap((name) => scrape.samples(name, ofModel(model)))) {
    found.set(JSON.stringify([labels.model, labels.version]), { model: labels.model, version: labels.version });
  }
  return [...found.values()].sort(
    (one, other) => one.model.localeCompare(other.model) || Number(other.version) - Number(one.version),
  );
}

function byLabel(scrape, name, version, label) {
  return new Map(scrape.samples(name, isOf(version)).map(({ labels, value }) => [labels[label], value]));
}
