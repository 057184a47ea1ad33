// The live view of GET /status: asks for the metrics and the index of models every two seconds, and shows them.

import { History, batchSizes, countsBy, stageTimes } from "./history.js";
import { fetchWithKey } from "./key.js";
import { Scrape } from "./metrics_text.js";
import { balanceTables, driftTables, shadowTable, versionTables } from "./model_tables.js";
import { Poller } from "./poller.js";
import { bar, drawAll, drawTable } from "./tables.js";
import { drawTiles } from "./tiles.js";
import { clock, count, duration, percent } from "./units.js";

const EVERY_MS = 2000;
const TIMEOUT_MS = 10_000;
const GAP_S = 3.5 * (EVERY_MS / 1000);
const STAGES = { decode: "Reading the request", queue: "Waiting", inference: "The network", encode: "Writing the answer" };

const history = new History();
let index = { default: null, models: [] };
let restarted = "";
let lastAnswer = "";

const at = (id) => document.getElementById(id);

async function fetched(path) {
  const response = await fetchWithKey(path, TIMEOUT_MS, { cache: "no-store" });
  if (!response.ok) throw new Error(`GET /${path} was answered with ${response.status}`);
  return response;
}

async function ask() {
  const [metrics, models] = await Promise.all([
    fetched("metrics").then((response) => response.text()),
    fetched("models").then((response) => response.json()),
  ]);
  index = models;
  lastAnswer = clock(Date.now());
  if (history.add(new Scrape(metrics, performance.now() / 1000))) {
    restarted = ` The server was restarted; the figures begin at ${lastAnswer}.`;
  }
}

function show(state, reason) {
  const texts = {
    connecting: "Connecting …",
    live: `Live: updated every ${EVERY_MS / 1000} seconds.${restarted}`,
    paused: `Paused${lastAnswer && ` at ${lastAnswer}`}.`,
    away: `${explained(reason)}${lastAnswer && ` The figures are of ${lastAnswer}.`} Trying again.`,
  };
  say(state, texts[state]);
  if (state === "live") draw();
}

function explained(reason) {
  if (reason?.name === "TimeoutError") return "The server does not answer in time.";
  return reason instanceof TypeError ? "The server cannot be reached." : `${reason?.message}.`;
}

/** A screen reader reads the text aloud when it changes, and only then. */
function say(state, text) {
  const place = at("connection");
  place.dataset.state = state;
  document.body.classList.toggle("stale", state === "away");
  if (place.textContent !== text) place.textContent = text;
}

function draw() {
  const [scrape, minute, model] = [history.latest, history.lastMinute(), history.model];
  drawChoice();
  drawTiles(history.points, scrape, GAP_S);
  drawTable(at("stages"), stageTable(minute, model));
  drawTable(at("batches"), batchTable(minute, model));
  drawTable(at("statuses"), countTable(scrape, minute, ["mlp_requests_total", "status", "Status"], model));
  drawTable(at("reasons"), countTable(scrape, minute, ["mlp_rejections_total", "reason", "Reason"], model));
  drawAll(at("balance"), balanceTables(scrape, minute, model));
  drawAll(at("drift"), driftTables(scrape, model));
  drawAll(at("versions"), versionTables(index, scrape, model));
  const shadows = shadowTable(scrape, model);
  at("shadows-section").hidden = shadows === undefined;
  drawAll(at("shadows"), shadows ? [shadows] : []);
}

function stageTable(minute, model) {
  const stages = stageTimes(minute, model);
  const total_s = stages.reduce((sum, [, mean_s]) => sum + mean_s, 0);
  return {
    caption: `Together ${duration(total_s)}`,
    head: ["Stage", "Mean time"],
    rows: stages.map(([stage, mean_s]) => [STAGES[stage], bar(mean_s / total_s, duration(mean_s))]),
    more: stages.length ? [] : ["No predictions in the last minute."],
  };
}

function batchTable(minute, model) {
  const sizes = batchSizes(minute, model);
  return {
    caption: "Rows in one run",
    head: ["Rows", "Share of runs"],
    rows: sizes.map(({ above, upTo, share }) => [rowsOf(above, upTo), bar(share, percent(share))]),
    more: sizes.length ? [] : ["No runs in the last minute."],
  };
}

function rowsOf(above, upTo) {
  if (!Number.isFinite(upTo)) return `more than ${count(above)}`;
  return above + 1 >= upTo ? count(upTo) : `${count(above + 1)} to ${count(upTo)}`;
}

function countTable(scrape, minute, [counter, label, title], model) {
  const counts = countsBy(scrape, minute, counter, label, model);
  const rows = counts.map(({ name, total, lastMinute }) => [name, count(total), count(lastMinute)]);
  const isEmpty = !rows.length && label === "status";
  return {
    caption: `By ${title.toLowerCase()}`,
    head: [title, "Since the start", "Last minute"],
    rows,
    more: isEmpty ? ["No requests yet."] : [],
  };
}

/** Offer the models, if there are several. */
function drawChoice() {
  const [choice, names] = [at("model"), ["", ...index.models.map(({ name }) => name)]];
  at("model-choice").hidden = names.length < 3 && history.model === "";
  if (names.join("\n") === [...choice.options].map(({ value }) => value).join("\n")) return;
  choice.replaceChildren(...names.map((name) => new Option(name || "All", name)));
  choice.value = names.includes(history.model) ? history.model : "";
  if (choice.value !== history.model) history.choose(choice.value);
}

const poller = new Poller(ask, show, EVERY_MS);
at("pause").addEventListener("click", ({ target }) => {
  poller.pause(!poller.isPaused);
  target.textContent = poller.isPaused ? "Resume" : "Pause";
});
at("model").addEventListener("change", ({ target }) => {
  history.choose(target.value);
  draw();
});
poller.start();
