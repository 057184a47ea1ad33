// Runs the newest of many calls: one at a time, and those that came meanwhile but the last are left out.

/** A function that runs `work` with the last arguments it was called with, `pause` ms after a burst began. */
export function latest(work, pause = 0) {
  let waiting = null;
  let running = false;

  async function run() {
    running = true;
    try {
      if (pause) await new Promise((resolve) => setTimeout(resolve, pause));
      while (waiting) {
        const values = waiting;
        waiting = null;
        await work(...values);
      }
    } finally {
      running = false;
    }
  }

  return (...values) => {
    waiting = values;
    if (!running) run();
  };
}
