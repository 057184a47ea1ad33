// The tiles of the live view: one figure each, with its curve.

import { SPAN_S } from "./history.js";
import { sparkline } from "./sparkline.js";
import { age, bytes, count, duration, number, percent } from "./units.js";

// Of each tile: its figure among those of `History.points`, how it is written, and a note beside it.
const TILES = {
  requests: ["requests_per_s", number, ({ scrape }) => `${count(scrape.sum("mlp_requests_in_flight"))} in progress now`],
  p50: ["p50_s", duration],
  p99: ["p99_s", duration],
  errors: ["error_share", percent],
  batch: ["rows_per_batch", number, ({ point }) => `${number(point.batches_per_s)} batches per second`],
  queue: ["queue_rows", (rows) => `${count(rows)} ${rows === 1 ? "row" : "rows"}`, queueNote],
  cpu: ["cores", (cores) => `${number(cores)} ${cores === 1 ? "core" : "cores"}`],
  memory: ["memory_bytes", bytes],
  workers: ["workers", count, workersNote],
};

/** Show the last of the `points` and the curves of all; points more than `gap_s` apart are not joined. */
export function drawTiles(points, scrape, gap_s) {
  const point = points.at(-1);
  for (const [id, [figure, text, note = () => ""]] of Object.entries(TILES)) {
    const tile = document.getElementById(`tile-${id}`);
    tile.querySelector(".value").textContent = text(point[figure]);
    tile.querySelector(".note").textContent = note({ point, scrape });
    const values = points.map(({ at_s, [figure]: value }) => ({ at_s, value }));
    sparkline(tile.querySelector(".curve"), values, { now_s: point.at_s, span_s: SPAN_S, gap_s, text });
  }
}

function queueNote({ point, scrape }) {
  const [rows, time] = [scrape.sum("mlp_queue_max_rows"), scrape.max("mlp_queue_max_seconds")];
  return `wait ${duration(point.queue_s)}; limits: ${count(rows)} rows a lane, ${duration(time)}`;
}

function workersNote({ scrape }) {
  const notes = [scrape.sum("mlp_ready") === 1 ? "ready" : "not taking requests"];
  const started_s = scrape.sum("process_start_time_seconds");
  if (started_s) notes.push(`up ${age(Math.max(0, Date.now() / 1000 - started_s))}`);
  const [died, hung] = [scrape.sum("mlp_worker_deaths_total"), scrape.sum("mlp_worker_hangs_total")];
  if (died) notes.push(`${count(died)} replaced${hung ? `, ${count(hung)} of them hung` : ""}`);
  return notes.join("; ");
}
