// Asks the server again and again: not while the page is hidden or paused, and never twice at once.

/** States: `connecting` until the first answer, `live`, `away` if there is no answer, and `paused` by the user. */
export class Poller {
  #ask;
  #changed;
  #every_ms;
  #isAsking = false;
  #timer;

  /**
   * @param {() => Promise<void>} ask Rejects if there is no answer.
   * @param {(state: string, reason?: Error) => void} changed Called after each answer, and when the user pauses.
   */
  constructor(ask, changed, every_ms) {
    this.#ask = ask;
    this.#changed = changed;
    this.#every_ms = every_ms;
    this.isPaused = false;
    document.addEventListener("visibilitychange", () => this.#next(0));
  }

  start() {
    this.#next(0);
  }

  /** Stop asking, or go on. */
  pause(isPaused) {
    this.isPaused = isPaused;
    this.#changed(isPaused ? "paused" : "connecting");
    this.#next(0);
  }

  #next(after_ms) {
    clearTimeout(this.#timer);
    if (!this.isPaused && !document.hidden && !this.#isAsking) {
      this.#timer = setTimeout(() => this.#now(), after_ms);
    }
  }

  async #now() {
    this.#isAsking = true;
    const [state, reason] = await this.#ask().then(
      () => ["live"],
      (error) => ["away", error],
    );
    this.#isAsking = false;
    this.#next(this.#every_ms);
    if (!this.isPaused) this.#changed(state, reason);
  }
}
