// The values that a feature takes along a curve, and where they lie on its axis.

import { day, daysOf, short } from "./format.js";

const POINTS = 60;
const MOST_CATEGORIES = 60;

/**
 * The axis of a form's field: the `steps` to send, the `position` of such a value, and how to `write` a position.
 * `isLine` says whether positions are numbers. Null if there is nothing to vary.
 */
export function axisOf({ feature, whole }) {
  const axis = varied(feature, whole);
  return axis?.steps.length > 1 ? axis : null;
}

function varied(feature, whole) {
  const isDate = feature.kind === "datetime" && feature.format !== "time";
  if (isDate) return line([...new Set(between(feature).map(day))], daysOf, day);
  if (feature.kind === "numeric" && whole) return line([...new Set(between(feature).map(Math.round))], Number, short);
  if (feature.kind === "numeric") return line(between(feature), Number, short);
  if (feature.kind === "boolean") return bars([false, true]);
  return feature.kind === "categorical" ? bars(feature.categories.slice(0, MOST_CATEGORIES)) : null;
}

function line(steps, position, write) {
  return { steps, position, write, isLine: true };
}

function bars(steps) {
  return { steps, position: String, write: String, isLine: false };
}

function between({ min, max }) {
  if (!(max > min)) return [];
  return Array.from({ length: POINTS }, (_, index) => min + (index * (max - min)) / (POINTS - 1));
}
