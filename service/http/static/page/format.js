// Writes numbers and labels for people.

const DAY_MS = 86_400_000;
// 1984 without a separator, as it may be a year, and 19,840 with one.
const PLAIN = new Intl.NumberFormat("en", { maximumSignificantDigits: 6, useGrouping: "min2" });
const SHORT = new Intl.NumberFormat("en", { maximumSignificantDigits: 4, useGrouping: "min2" });

/** A number with six significant digits; very large and very small ones with an exponent. */
export function number(value) {
  return exponent(value) ?? PLAIN.format(value);
}

/** The same with four digits, for axes and hints. */
export function short(value) {
  return exponent(value) ?? SHORT.format(value);
}

function exponent(value) {
  const size = Math.abs(value);
  return size && (size >= 1e12 || size < 1e-4) ? value.toExponential(3) : null;
}

/** A share as a percentage; nothing but 0 and 1 is written as 0 % or 100 %. */
export function percent(share) {
  if (share > 0 && share < 0.0005) return "<0.1 %";
  if (share < 1 && share > 0.9995) return ">99.9 %";
  return `${(100 * share).toFixed(1)} %`;
}

/** A count with separators, and its noun. */
export function count(value, noun) {
  return `${value.toLocaleString("en")} ${noun}${value === 1 ? "" : "s"}`;
}

/** Days since 1970 as a date, as manifests count them. */
export function day(days) {
  return new Date(days * DAY_MS).toISOString().slice(0, 10);
}

/** A date as days since 1970; NaN if it is written in another way than ISO 8601. */
export function daysOf(text) {
  return Date.parse(text) / DAY_MS;
}

/** A server's message about the only row, or about a row that is in sight. */
export function withoutRow(message) {
  return message.replace(/^row \d+, /, "");
}

/** A time in milliseconds, or microseconds below 0.1 ms. */
export function duration(ms) {
  if (ms < 0.1) return `${Math.round(1000 * ms)} µs`;
  return `${ms.toFixed(ms < 10 ? 2 : 0)} ms`;
}
