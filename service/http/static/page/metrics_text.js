// Reads Prometheus's text format, as its documentation defines it, and compares two scrapes of a server.

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?[ \t]+(\S+)(?:[ \t]+-?\d+)?[ \t]*$/;
const LABEL = /[ \t]*([a-zA-Z_]\w*)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*)"[ \t]*(,|$)/y;
const ESCAPES = { n: "\n" };
const NOT_FINITE = { "+Inf": Infinity, Inf: Infinity, "-Inf": -Infinity, NaN: NaN };

/**
 * The samples by the name of their metric. Comments, and lines that are not samples, are left out.
 * @param {string} text
 * @returns {Map<string, {series: string, labels: Object<string, string>, value: number}[]>} `series` tells apart the
 *   series of one metric.
 */
export function parse(text) {
  const samples = new Map();
  for (const line of text.split("\n")) {
    const [, name, series = "", number] = SAMPLE.exec(line) ?? [];
    const labels = name && parseLabels(series);
    const value = NOT_FINITE[number] ?? Number(number);
    if (!labels || (Number.isNaN(value) && number !== "NaN")) continue;
    if (!samples.has(name)) samples.set(name, []);
    samples.get(name).push({ series, labels, value });
  }
  return samples;
}

/** The labels between the braces, or undefined if they are malformed. */
function parseLabels(text) {
  const labels = Object.create(null);
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const found = LABEL.exec(text);
    if (!found) return undefined;
    labels[found[1]] = found[2].replace(/\\(.)/g, (_, character) => ESCAPES[character] ?? character);
  }
  return labels;
}

/** One scrape: its samples, and the time `at_s` at which they were read. */
export class Scrape {
  #samples;

  constructor(text, at_s) {
    this.at_s = at_s;
    this.#samples = parse(text);
  }

  /** The samples of a metric for which `wanted(labels)` is true. */
  samples(name, wanted = () => true) {
    return (this.#samples.get(name) ?? []).filter(({ labels }) => wanted(labels));
  }

  /** The sum of a metric's samples; undefined if there are none. */
  sum(name, wanted) {
    const found = this.samples(name, wanted);
    return found.length ? found.reduce((total, { value }) => total + value, 0) : undefined;
  }

  /** The largest of a metric's samples; undefined if there are none. */
  max(name, wanted) {
    const found = this.samples(name, wanted);
    return found.length ? Math.max(...found.map(({ value }) => value)) : undefined;
  }
}

/** What happened between two scrapes of the same server. */
export class Interval {
  #before;
  #after;

  constructor(before, after) {
    this.#before = before;
    this.#after = after;
    this.duration_s = after.at_s - before.at_s;
  }

  /** The increase of a counter. One that has become smaller began again at 0, as Prometheus assumes, too. */
  increase(name, wanted) {
    return total(this.increases(name, wanted).values());
  }

  /** The increase of a counter per second. */
  rate(name, wanted) {
    return this.duration_s > 0 ? this.increase(name, wanted) / this.duration_s : 0;
  }

  /** The increase of a counter by the value of `label`; without one, by series. */
  increases(name, wanted, label) {
    const before = new Map(this.#before.samples(name, wanted).map(({ series, value }) => [series, value]));
    const found = new Map();
    for (const { series, labels, value } of this.#after.samples(name, wanted)) {
      const start = before.get(series) ?? 0;
      const key = label === undefined ? series : (labels[label] ?? "");
      found.set(key, (found.get(key) ?? 0) + (value >= start ? value - start : value));
    }
    return found;
  }

  /** The mean of the values that a histogram or summary observed; undefined if there were none. */
  mean(name, wanted) {
    const count = this.increase(`${name}_count`, wanted);
    return count > 0 ? this.increase(`${name}_sum`, wanted) / count : undefined;
  }

  /** The number of observations of a histogram in each bucket: `[{above, upTo, count}]`, ascending. */
  buckets(name, wanted) {
    const upToEach = [...this.increases(`${name}_bucket`, wanted, "le")]
      .map(([bound, count]) => ({ upTo: NOT_FINITE[bound] ?? Number(bound), count }))
      .sort((one, other) => one.upTo - other.upTo);
    return upToEach.map(({ upTo, count }, index) => ({
      above: index ? upToEach[index - 1].upTo : 0,
      upTo,
      count: Math.max(0, count - (index ? upToEach[index - 1].count : 0)),
    }));
  }
}

/**
 * The `q` quantile of a histogram, interpolated within its bucket as PromQL's histogram_quantile does: above the last
 * finite bound, this bound. Undefined without observations.
 */
export function quantile(buckets, q) {
  const observations = total(buckets.map(({ count }) => count));
  if (!observations) return undefined;
  let rank = q * observations;
  for (const { above, upTo, count } of buckets) {
    if (count > 0 && rank <= count) return Number.isFinite(upTo) ? above + ((upTo - above) * rank) / count : above;
    rank -= count;
  }
  return buckets.at(-1).above;
}

function total(values) {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}
