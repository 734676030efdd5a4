/** How much has been taken from the broker and not been settled yet: what is beyond it stays there. */

export interface AdmissionLimits {
  readonly messages: number;
  readonly bytes: number;
}

export class AdmissionWindow {
  readonly #limits: AdmissionLimits;
  #messages = 0;
  #bytes = 0;
  #next: (() => void)[] = [];

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  get messages(): number {
    return this.#messages;
  }

  /** Takes a place, as soon as there is one. Throws when the signal is aborted before that. */
  async acquire(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    while (this.#isFull()) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          signal.removeEventListener("abort", done);
          this.#next = this.#next.filter((each) => each !== done);
          resolve();
        };
        this.#next.push(done);
        signal.addEventListener("abort", done, { once: true });
      });
      signal.throwIfAborted();
    }
    this.#messages++;
    this.#wake();
  }

  /** What is in a place that was taken: it may be larger than what was left. */
  charge(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Readmission, without waiting: it was admitted before. */
  readmit(bytes: number): void {
    this.#messages++;
    this.#bytes += bytes;
  }

  release(bytes: number): void {
    this.#messages--;
    this.#bytes -= bytes;
    this.#wake();
  }

  #isFull(): boolean {
    return this.#messages >= this.#limits.messages || this.#bytes >= this.#limits.bytes;
  }

  #wake(): void {
    if (!this.#isFull()) this.#next[0]?.();
  }
}
