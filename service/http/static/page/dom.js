// Makes elements. Text always becomes text nodes: nothing that a model or a server says is read as HTML.

/** An element with attributes, listeners (`onclick`) and children; a boolean attribute is set or left out. */
export function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same in SVG. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean") node.toggleAttribute(name, value);
    else if (value != null) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child != null));
  return node;
}

/** A part of the page with a heading. */
export function section(id, title, ...children) {
  const heading = element("h2", { id: `${id}-title` }, title);
  return element("section", { id, class: "panel", "aria-labelledby": `${id}-title` }, heading, ...children);
}

/** A table: the first cell of each row is its heading. `numeric` aligns the others to the right. */
export function table(caption, head, rows, numeric = true) {
  const cell = (content, index) => (index ? element("td", {}, content) : element("th", { scope: "row" }, content));
  const names = head.map((name) => element("th", { scope: "col" }, name));
  return element(
    "table",
    { class: numeric ? "numeric" : null },
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, names)),
    element("tbody", {}, rows.map((cells) => element("tr", {}, cells.map(cell)))),
  );
}

/** A select with options of [value, text]. */
export function select(attributes, options, chosen) {
  const made = options.map(([value, text]) => element("option", { value, selected: value === chosen }, text));
  return element("select", attributes, made);
}
