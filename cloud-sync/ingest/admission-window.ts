/**
 * How much has been taken from the broker and not been settled yet, of all devices and of each: what
 * is beyond it stays there.
 */

export interface AdmissionLimits {
  readonly messages: number;
  readonly bytes: number;
}

export interface WindowLimits extends AdmissionLimits {
  /** Of one device, so that none takes the place of the others. */
  readonly ofDevice: AdmissionLimits;
}

interface Waiter {
  readonly device: string;
  readonly bytes: number;
  readonly signal: AbortSignal;
  readonly admitted: () => void;
  readonly refused: (reason: unknown) => void;
}

class Usage {
  messages = 0;
  bytes = 0;

  hasRoom(limits: AdmissionLimits): boolean {
    return this.messages < limits.messages && this.bytes < limits.bytes;
  }

  add(messages: number, bytes: number): void {
    this.messages += messages;
    this.bytes += bytes;
  }
}

export class AdmissionWindow {
  readonly #limits: WindowLimits;
  readonly #all = new Usage();
  readonly #ofDevice = new Map<string, Usage>();
  /** In the order in which they came. */
  readonly #waiters = new Set<Waiter>();
  /** One listener for each signal, however many wait. */
  readonly #listening = new Map<AbortSignal, () => void>();

  constructor(limits: WindowLimits) {
    this.#limits = limits;
  }

  get messages(): number {
    return this.#all.messages;
  }

  /** Whether this device has taken what one device may. */
  isFullOf(device: string): boolean {
    return this.#ofDevice.get(device)?.hasRoom(this.#limits.ofDevice) === false;
  }

  /**
   * Takes a place for so many bytes, as soon as there is one: it may be more than what was left.
   * Throws when the signal is aborted before that.
   */
  async acquire(device: string, bytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#hasRoom(device)) {
      this.#add(device, 1, bytes);
      return;
    }
    await new Promise<void>((admitted, refused) => {
      this.#waiters.add({ device, bytes, signal, admitted, refused });
      this.#listen(signal);
    });
  }

  /** Readmission, without waiting: it was admitted before. */
  readmit(device: string, bytes: number): void {
    this.#add(device, 1, bytes);
  }

  release(device: string, bytes: number): void {
    this.#add(device, -1, -bytes);
    this.#admit();
  }

  #admit(): void {
    for (const waiter of this.#waiters) {
      if (!this.#all.hasRoom(this.#limits)) return;
      const { device, bytes } = waiter;
      if (!this.#hasRoom(device)) continue;
      this.#add(device, 1, bytes);
      this.#waiters.delete(waiter);
      this.#unlisten(waiter.signal);
      waiter.admitted();
    }
  }

  #hasRoom(device: string): boolean {
    return this.#all.hasRoom(this.#limits) && !this.isFullOf(device);
  }

  #add(device: string, messages: number, bytes: number): void {
    this.#all.add(messages, bytes);
    const own = this.#ofDevice.get(device) ?? new Usage();
    own.add(messages, bytes);
    if (own.messages === 0) this.#ofDevice.delete(device);
    else this.#ofDevice.set(device, own);
  }

  #listen(signal: AbortSignal): void {
    if (this.#listening.has(signal)) return;
    const aborted = (): void => {
      for (const waiter of this.#waiters) {
        if (waiter.signal !== signal) continue;
        this.#waiters.delete(waiter);
        waiter.refused(signal.reason);
      }
      this.#unlisten(signal);
    };
    this.#listening.set(signal, aborted);
    signal.addEventListener("abort", aborted, { once: true });
  }

  #unlisten(signal: AbortSignal): void {
    for (const waiter of this.#waiters) if (waiter.signal === signal) return;
    const listener = this.#listening.get(signal);
    if (listener !== undefined) signal.removeEventListener("abort", listener);
    this.#listening.delete(signal);
  }
}
