// Starts the page: chooses a model and a version, and puts together what belongs to it.

import { answerPanel } from "./answer.js";
import { listModels, loadVersion, predict, predictPath, Problem } from "./api.js";
import { cardPanel } from "./card.js";
import { element } from "./dom.js";
import { count } from "./format.js";
import { imageInput } from "./image_page.js";
import { hasKey } from "./key.js";
import { latest } from "./latest.js";
import { snippetPanel } from "./snippets.js";
import { tableInput } from "./table_page.js";

const PAUSE_MS = 30; // strokes and key presses come in bursts
const RETRY_MS = 3000; // while the server is away

const part = (id) => document.getElementById(id);
const models = part("model");
const versions = part("version");
let listed = []; // as GET /models says
let shown = null; // {name, version, input, end}
let choices = 0; // how many were made

/** Read the list of models, and show the one of the address, or else the default. */
async function start() {
  try {
    const { models: found, default: preferred } = await listModels();
    listed = found.filter((model) => model.versions.some((version) => version.loaded));
    if (!listed.length)
      throw new Problem("No model is served yet. GET /models says why; this page looks again when you return to it.");
    const [name, version] = decodeURIComponent(location.hash.slice(1)).split("@");
    const model =
      listed.find((each) => each.name === name) ?? listed.find((each) => each.name === preferred) ?? listed[0];
    await show(model, version);
  } catch (error) {
    report(error);
  }
}

/** Show a version of a model: the one given, if it is loaded, or the one that serves. The last choice counts. */
async function show(model, wanted) {
  const choice = ++choices;
  const loaded = model.versions.filter((version) => version.loaded).map(({ version }) => String(version));
  const version = loaded.includes(String(wanted)) ? String(wanted) : String(model.version ?? loaded[0]);
  offer(model, loaded, version);
  part("problem").hidden = true;
  if (shown?.name === model.name && shown.version === version) return;
  const found = await loadVersion(model.name, version);
  if (choice !== choices) return;
  const before = shown?.name === model.name ? shown.input.state() : undefined;
  shown?.end.abort();
  history.replaceState(null, "", `#${encodeURIComponent(model.name)}@${version}`);
  build(found, version === String(model.version), before);
}

function offer(model, loaded, version) {
  const option = (value, text, chosen) => element("option", { value, selected: value === chosen }, text);
  models.replaceChildren(...listed.map(({ name }) => option(name, name, model.name)));
  versions.replaceChildren(
    ...loaded.map((each) => option(each, each === String(model.version) ? `${each} (serving)` : each, version)),
  );
  part("model-choice").hidden = listed.length < 2;
  part("version-choice").hidden = loaded.length < 2;
}

/** Put the page of a version together. Its listeners on the document end with `shown.end`. */
function build(version, isServing, before) {
  const { model } = version;
  const end = new AbortController();
  const answer = answerPanel(model);
  const snippets = snippetPanel();
  const path = predictPath(model.name, model.version);
  const publicPath = predictPath(model.name, isServing ? null : model.version);

  let newest = null;
  const ask = latest(async (request) => {
    newest = request;
    const hadKey = hasKey();
    try {
      answer.show(await predict(path, request.body, request.type, request.query));
      if (hasKey() !== hadKey) snippets.update(publicPath, request); // programs need one, too
      input.answered?.();
    } catch (error) {
      answer.refuse(error);
      input.refused?.(error);
      if (error.status === 404) start(); // another version took over
      if (error.status === 0) setTimeout(() => request === newest && !end.signal.aborted && ask(request), RETRY_MS);
    }
  }, PAUSE_MS);

  const calls = {
    start: before,
    signal: end.signal,
    changed(request) {
      snippets.update(publicPath, request);
      ask(request);
    },
    asked: (request) => snippets.update(publicPath, request),
    failed: (message) => answer.refuse(new Problem(message)),
  };
  const input = version.brightest == null ? tableInput(version, path, calls) : imageInput(version, calls);
  document.title = `${model.name} · mlp-serving`;
  part("title").textContent = model.name;
  part("summary").textContent = summaryOf(model, version.brightest != null);
  const work = element("div", { class: "work" }, input.node, answer.node);
  part("content").replaceChildren(...[work, input.below, snippets.node, cardPanel(version)].filter(Boolean));
  shown = { name: model.name, version: String(model.version), input, end };
  input.begin();
}

function summaryOf({ version, labels, targets, input_shape: shape, features }, isImage) {
  const from = isImage ? `pictures of ${shape[1]} × ${shape[0]} pixels` : count(features.length, "feature");
  const what = labels.length
    ? `Tells ${labels.length} classes apart from ${from}`
    : `Predicts ${targets.join(", ")} from ${from}`;
  return `${what}. Version ${version}.`;
}

function report(error) {
  if (!(error instanceof Problem)) console.error(error);
  const again = element("button", { id: "again", type: "button", onclick: start }, "Try again");
  part("problem").replaceChildren(element("p", {}, error.message), again);
  part("problem").hidden = false;
  if (!shown) part("title").textContent = "No model to show";
}

models.addEventListener("change", () => show(listed.find(({ name }) => name === models.value)).catch(report));
versions.addEventListener("change", () =>
  show(
    listed.find(({ name }) => name === models.value),
    versions.value,
  ).catch(report),
);
addEventListener("hashchange", start);
// Versions come and go while a page is open.
document.addEventListener("visibilitychange", () => document.hidden || start());
start();
