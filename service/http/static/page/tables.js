// Tables of the live view. A table is drawn anew only if it changed, so that selected text stays selected.

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
  const parts = more.map((text) => element("p", text));
  if (rows.length) {
    const columns = head.map((_, index) => index).filter((index) => rows.some((cells) => cells[index] !== ""));
    const shown = (cells) => columns.map((index) => cells[index]);
    const table = element("table");
    table.append(element("caption", caption), element("thead", "", rowOf(shown(head), columns.map(() => "col"))));
    table.append(element("tbody", "", ...rows.map((cells) => rowOf(shown(cells), ["row"]))));
    parts.unshift(table);
  }
  return parts;
}

function rowOf(cells, scopes) {
  return element("tr", "", ...cells.map((content, index) => cellOf(content, scopes[index])));
}

function cellOf(content, scope) {
  const cell = element(scope ? "th" : "td");
  if (scope) cell.scope = scope;
  if (content.length !== undefined && content.text !== undefined) {
    cell.append(track(content), element("span", content.text));
  } else if (content.level !== undefined) {
    const word = element("span", content.text);
    word.className = `chip ${content.level}`;
    cell.append(word);
  } else {
    cell.textContent = content;
  }
  return cell;
}

function track({ length, mark }) {
  const made = element("span");
  made.className = mark === undefined ? "bar" : "bar marked";
  made.style.setProperty("--length", length);
  if (mark !== undefined) made.style.setProperty("--mark", mark);
  return made;
}

function element(name, text = "", ...children) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}
