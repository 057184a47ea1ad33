// Tables of the live view. A table is drawn anew only if it changed, so that selected text stays selected.

import { element, table } from "./dom.js";

const drawn = new WeakMap();

/**
 * Draw a table into `place`.
 * @param {{caption: string, head: string[], rows: (string|ReturnType<bar>|ReturnType<chip>)[][], more?: string[]}} content
 *   The first cell of a row is its heading. Without rows there are only the paragraphs of `more`. Columns in which every
 *   cell is empty are left out.
 */
export function drawTable(place, content) {
  drawAll(place, [content]);
}

/** Draw several tables into `place`, below each other. */
export function drawAll(place, contents) {
  const key = JSON.stringify(contents);
  if (drawn.get(place) === key) return;
  drawn.set(place, key);
  place.replaceChildren(...contents.flatMap(tableOf));
}

/** A cell with `text` beside a bar of this `length` from 0 to 1, with a mark at `mark` if there is one. */
export const bar = (length, text, mark) => ({ length, text, mark });

/** A cell with a word on the colour of its `level`: good, some, bad. */
export const chip = (text, level) => ({ level, text });

function tableOf({ caption, head, rows, more = [] }) {
  const paragraphs = more.map((text) => element("p", {}, text));
  if (!rows.length) return paragraphs;
  const columns = head.map((_, index) => index).filter((index) => rows.some((cells) => cells[index] !== ""));
  const shown = (cells) => columns.map((index) => contentOf(cells[index]));
  return [table(caption, shown(head), rows.map(shown), false), ...paragraphs];
}

function contentOf(cell) {
  if (typeof cell === "string") return cell;
  return cell.level ? element("span", { class: `chip ${cell.level}` }, cell.text) : [track(cell), cell.text];
}

function track({ length, mark }) {
  const made = element("span", { class: mark === undefined ? "bar" : "bar marked" });
  made.style.setProperty("--length", length); // an attribute would violate the security policy
  if (mark !== undefined) made.style.setProperty("--mark", mark);
  return made;
}
