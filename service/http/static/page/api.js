// Talks to the server: the list of models, a version, predictions. Every failure is a `Problem` with a plain message.

import { fetchWithKey } from "./key.js";

const AWAY =
  "The server does not answer. It may be restarting, or the connection is lost. This page tries again in a moment.";
const TIMEOUT_MS = 35_000; // the server's own limit is 30 s

/** Why a request was not answered: `errors` names rows and features, if the server does. */
export class Problem extends Error {
  constructor(message, { status = 0, errors = [] } = {}) {
    super(message);
    this.status = status;
    this.errors = errors;
  }
}

/** The models with their versions, and the name of the default one. */
export async function listModels() {
  return (await ask("models")).json();
}

/** A loaded version: its description, held-out rows, typical values and the files of its card. */
export async function loadVersion(name, version) {
  return (await ask(`page/${pathOf(name, version)}`)).json();
}

/** The address of a file of a version's card. */
export function cardUrl(name, version, file) {
  return `page/${pathOf(name, version)}/${file}`;
}

/** The path of a version's predictions, or without `version` of the one that serves. */
export function predictPath(name, version) {
  return `${version == null ? `models/${encodeURIComponent(name)}` : pathOf(name, version)}/predict`;
}

/** Predict. Gives the server's `answer`, the `stages` of its time and the `total` in ms, and its `warning`. */
export async function predict(path, body, type, query = {}) {
  const started = performance.now();
  const parameters = new URLSearchParams({ ...query, timing: true });
  const response = await ask(`${path}?${parameters}`, { method: "POST", body, headers: { "content-type": type } });
  const answer = await response.json();
  return {
    answer,
    stages: stagesOf(response.headers.get("server-timing") ?? ""),
    total: performance.now() - started,
    warning: response.headers.get("x-model-warnings"),
  };
}

function pathOf(name, version) {
  return `models/${encodeURIComponent(name)}/versions/${encodeURIComponent(version)}`;
}

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetchWithKey(path, TIMEOUT_MS, options);
  } catch {
    throw new Problem(AWAY);
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

async function problemOf(response) {
  const { status } = response;
  const document = await response.json().catch(() => ({}));
  const message = document.detail ?? `The server answered ${status} ${response.statusText}`.trim();
  return new Problem(message, { status, errors: document.errors ?? [] });
}

/** "decode;dur=0.01, infer;dur=0.2" as [["decode", 0.01], …]: https://www.w3.org/TR/server-timing/ */
function stagesOf(header) {
  return [...header.matchAll(/([\w-]+);dur=([\d.]+)/g)].map(([, name, ms]) => [name, Number(ms)]);
}
