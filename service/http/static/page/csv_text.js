// Reads and writes CSV text, separated as the server reads it: by commas, semicolons, tabs or bars.

const SEPARATORS = [",", ";", "\t", "|"];

/** The rows of cells in `text`, without empty lines, and the separator: the one that its first line has most often. */
export function parse(text) {
  const source = text.replace(/^\uFEFF/, "");
  const firstLine = source.slice(0, source.search(/[\r\n]|$/));
  const occurrences = (separator) => firstLine.split(separator).length;
  const separator = SEPARATORS.reduce((best, each) => (occurrences(each) > occurrences(best) ? each : best));
  const between = separator === "|" ? "\\|" : separator;
  const cell = new RegExp(`("(?:[^"]|"")*"|[^${between}\\r\\n]*)(${between}|\\r\\n|\\r|\\n|$)`, "y");
  const rows = [];
  let row = [];
  while (cell.lastIndex < source.length) {
    const found = cell.exec(source);
    if (!found) break; // text after a closing quote: the server explains it
    const [, value, end] = found;
    row.push(value.startsWith('"') ? value.slice(1, -1).replaceAll('""', '"') : value);
    if (end !== separator) {
      if (row.length > 1 || row[0] !== "") rows.push(row);
      row = [];
    }
  }
  if (row.length) rows.push([...row, ""]); // the text ends with a separator
  return { rows, separator };
}

/** Rows of cells as text, quoted where they must be. */
export function serialize(rows, separator = ",") {
  const quoted = (value) => (/["\r\n,;\t|]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  return rows.map((row) => row.map((value) => quoted(String(value ?? ""))).join(separator)).join("\n") + "\n";
}
