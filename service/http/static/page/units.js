// Numbers as text, with their units.

const PLAIN = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const NOTHING = "–";

const known = (value) => Number.isFinite(value);

/** A number with three digits. */
export const number = (value) => (known(value) ? (value >= 1000 ? WHOLE : PLAIN).format(value) : NOTHING);

/** A count. */
export const count = (value) => (known(value) ? WHOLE.format(value) : NOTHING);

/** A share from 0 to 1, in percent. */
export function percent(share) {
  if (!known(share)) return NOTHING;
  if (share > 0 && share < 0.001) return "< 0.1 %";
  return `${(100 * share).toFixed(share === 0 || share === 1 ? 0 : 1)} %`;
}

/** A duration in the unit that suits it. */
export function duration(seconds) {
  if (!known(seconds)) return NOTHING;
  if (seconds === 0) return "0 s";
  if (seconds < 0.001) return `${PLAIN.format(seconds * 1e6)} µs`;
  if (seconds < 1) return `${PLAIN.format(seconds * 1e3)} ms`;
  return `${PLAIN.format(seconds)} s`;
}

/** How long the server has run, in the largest two units. */
export function age(seconds) {
  if (!known(seconds)) return NOTHING;
  const [days, hours, minutes] = [seconds / 86400, (seconds / 3600) % 24, (seconds / 60) % 60].map(Math.floor);
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min` : `${Math.floor(seconds)} s`;
}

/** A size in memory. */
export function bytes(size) {
  if (!known(size)) return NOTHING;
  return size >= 2 ** 30 ? `${PLAIN.format(size / 2 ** 30)} GiB` : `${PLAIN.format(size / 2 ** 20)} MiB`;
}

/** A time of day. */
export const clock = (milliseconds) => new Date(milliseconds).toLocaleTimeString("en", { hour12: false });
