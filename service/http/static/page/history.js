// The scrapes of the last minutes, and the figures that follow from them.

import { Interval, quantile } from "./metrics_text.js";

// What the curves show, what a figure is the mean of, and what the tables show.
export const SPAN_S = 180;
const WINDOW_S = 10;
const MINUTE_S = 60;

// Probes, scrapes, and what the pages themselves ask for.
const NOT_COUNTED =
  /^\/(|metrics|models|models\/\{name\}|status|ping|openapi\.json|(page|docs|health|v2\/health)(\/.*)?)$|^\/grpc\.health\./;

/** Whether the labels are those of a client's request to the model, or to any if `model` is empty. */
const ofClients = (model) => (labels) => ofModel(model)(labels) && !NOT_COUNTED.test(labels.route);

/** Whether the labels are those of the model, or of any if `model` is empty. */
export const ofModel = (model) => (labels) => model === "" || labels.model === model;

const isError = (labels) => Number(labels.status) >= 400;

export class History {
  #scrapes = [];
  #model = "";
  /** The figures at each scrape, ascending, as `figuresOf` gives them. */
  points = [];

  /** Add a scrape. Returns whether the server is another one than before: then its history begins anew. */
  add(scrape) {
    const isRestarted = this.latest !== undefined && startOf(scrape) !== startOf(this.latest);
    if (isRestarted) this.#scrapes = [];
    this.#scrapes.push(scrape);
    while (scrape.at_s - this.#scrapes[0].at_s > SPAN_S + WINDOW_S) this.#scrapes.shift();
    this.points = isRestarted ? [] : this.points.filter(({ at_s }) => scrape.at_s - at_s <= SPAN_S);
    this.points.push(this.#figuresAt(this.#scrapes.length - 1));
    return isRestarted;
  }

  get latest() {
    return this.#scrapes.at(-1);
  }

  get model() {
    return this.#model;
  }

  /** Show the figures of one model; of all with an empty name. */
  choose(model) {
    this.#model = model;
    this.points = this.#scrapes.map((_, index) => this.#figuresAt(index));
  }

  /** What happened in the last minute. */
  lastMinute() {
    return this.#since(MINUTE_S, this.#scrapes.length - 1);
  }

  #figuresAt(index) {
    return figuresOf(this.#since(WINDOW_S, index), this.#scrapes[index], this.#model);
  }

  /** What happened in the time before a scrape. */
  #since(duration_s, index) {
    const after = this.#scrapes[index];
    return new Interval(this.#scrapes.find(({ at_s }) => after.at_s - at_s <= duration_s * 1.05), after);
  }
}

const startOf = (scrape) => scrape.sum("process_start_time_seconds");

/** The figures of the tiles; undefined if there is nothing to tell them from. */
function figuresOf(interval, scrape, model) {
  const [wanted, requests] = [ofModel(model), ofClients(model)];
  const isFirst = interval.duration_s === 0;
  const answered = interval.increase("mlp_requests_total", requests);
  const failed = interval.increase("mlp_requests_total", (labels) => requests(labels) && isError(labels));
  const times = interval.buckets("mlp_request_duration_seconds", requests);
  const rate = (name, chosen) => (isFirst ? undefined : interval.rate(name, chosen));
  return {
    at_s: scrape.at_s,
    requests_per_s: rate("mlp_requests_total", requests),
    p50_s: quantile(times, 0.5),
    p99_s: quantile(times, 0.99),
    error_share: answered ? failed / answered : undefined,
    rows_per_batch: interval.mean("mlp_batch_rows", wanted),
    batches_per_s: rate("mlp_batch_rows_count", wanted),
    queue_rows: scrape.sum("mlp_queue_rows", wanted),
    queue_s: scrape.max("mlp_queue_seconds", wanted),
    cores: rate("process_cpu_seconds_total"),
    memory_bytes: scrape.sum("process_resident_memory_bytes"),
    workers: scrape.sum("mlp_workers"),
  };
}

/** The share of runs of the network by number of rows in the last minute: `[{above, upTo, share}]`. */
export function batchSizes(minute, model) {
  const buckets = minute.buckets("mlp_batch_rows", ofModel(model));
  const runs = buckets.reduce((total, { count }) => total + count, 0);
  const last = buckets.findLastIndex(({ count }) => count > 0);
  return buckets.slice(0, last + 1).map(({ above, upTo, count }) => ({ above, upTo, share: count / runs }));
}

/** The mean time in each stage in the last minute: `[[stage, seconds]]`. */
export function stageTimes(minute, model) {
  const at = (stage) => (labels) => labels.stage === stage && ofModel(model)(labels);
  return ["decode", "queue", "inference", "encode"]
    .map((stage) => [stage, minute.mean("mlp_stage_duration_seconds", at(stage))])
    .filter(([, mean_s]) => mean_s !== undefined);
}

/** Requests by the value of a label of a counter: `[{name, total, lastMinute}]`, the most frequent first. */
export function countsBy(scrape, minute, counter, label, model) {
  const wanted = (labels) => ofModel(model)(labels) && !(labels.route && NOT_COUNTED.test(labels.route));
  const found = new Map();
  const recent = minute.increases(counter, wanted, label);
  for (const { labels, value } of scrape.samples(counter, wanted)) {
    found.set(labels[label], (found.get(labels[label]) ?? 0) + value);
  }
  return [...found]
    .map(([name, total]) => ({ name, total, lastMinute: recent.get(name) ?? 0 }))
    .sort((one, other) => other.total - one.total);
}
