/** The end of a process in the middle of what it does: what it has in memory is gone. */
export class Crash extends Error {
  override readonly name = "Crash";
}

/** Places where a process may end, each named, and whose turn it is. */
export class Faults {
  readonly #strikes: (place: string) => boolean;
  readonly #struck = new Map<string, number>();

  constructor(strikes: (place: string) => boolean) {
    this.#strikes = strikes;
  }

  /** How often a process has ended in each place. */
  get struck(): ReadonlyMap<string, number> {
    return this.#struck;
  }

  /** Ends the process, if it is its turn here. */
  at(place: string): void {
    if (!this.#strikes(place)) return;
    this.#struck.set(place, (this.#struck.get(place) ?? 0) + 1);
    throw new Crash(place);
  }

  /** A write: it may end before it, or after it and before anybody has heard of it. */
  around<T>(write: string, work: () => T): T {
    this.at(`before ${write}`);
    const result = work();
    this.at(`after ${write}`);
    return result;
  }

  async aroundAsync<T>(write: string, work: () => Promise<T>): Promise<T> {
    this.at(`before ${write}`);
    const result = await work();
    this.at(`after ${write}`);
    return result;
  }
}
