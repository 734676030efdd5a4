/**
 * The button: Linux input events, as `dtoverlay=gpio-key` or any keyboard makes them.
 *
 *     struct input_event, 64-bit (include/uapi/linux/input.h), little-endian, 24 bytes:
 *     seconds (8) ‖ microseconds (8) ‖ type (2) ‖ code (2) ‖ value (4)
 */
import { closeSync, constants, openSync, readSync } from "node:fs";
import type { Clock } from "../../shared/core/clock.ts";
import { messageOf, PorchlightError, systemCodeOf } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { backoffMs, pause } from "../../shared/core/retry.ts";
import type { ButtonConfig } from "./config.ts";

export interface ButtonParts {
  readonly button: Omit<ButtonConfig, "name">;
  readonly clock: Pick<Clock, "monotonicMs">;
  /** Even in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
  readonly pressed: () => void;
}

const EVENT_BYTES = 24;
const TYPE_AT = 16;
const CODE_AT = 18;
const VALUE_AT = 20;
const EV_KEY = 1;
/** 0 is let go, 2 is held down. */
const DOWN = 1;
/** Read at once: more than any finger makes between two looks. */
const EVENTS_MAX = 64;
/** A read that waits would keep a thread of the pool for ever, and the process from ending. */
const LOOK_EVERY_MS = 20;
/** Debounce time: contacts bounce for up to 20 ms, and no second press comes in it. */
const DEBOUNCE_MS = 200;
/** A device that is missing at start may be plugged in, or its driver be late. */
const BACKOFF = { firstMs: 500, maxMs: 30_000 };

/** Calls `pressed` at each press until the signal is aborted; a device that fails is opened again. */
export async function watchButton(parts: ButtonParts, signal: AbortSignal): Promise<void> {
  const { button, logger, random } = parts;
  for (let attempt = 0; !signal.aborted; ) {
    try {
      const device = openButton(button.device);
      attempt = 0;
      logger.info("button opened", { device: button.device });
      await read(device, parts, signal).finally(() => closeSync(device));
    } catch (error) {
      if (!(error instanceof PorchlightError)) throw error;
      const { code, hint, message } = error;
      const retryInMs = backoffMs(attempt++, { ...BACKOFF, random });
      logger.warn(message, { code, hint, retryInMs });
      await pause(retryInMs, signal);
    }
  }
}

/** Opens the device without waiting for an event. Throws `button.unreadable` (remedy `retry`). */
export function openButton(device: string): number {
  try {
    return openSync(device, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    throw unreadable(device, cause);
  }
}

async function read(
  device: number,
  { button, clock, pressed }: ButtonParts,
  signal: AbortSignal,
): Promise<void> {
  const bytes = Buffer.alloc(EVENT_BYTES * EVENTS_MAX);
  let held = 0;
  let lastMs = Number.NEGATIVE_INFINITY;
  while (!signal.aborted) {
    held += readSome(device, button.device, bytes.subarray(held));
    const whole = held - (held % EVENT_BYTES);
    for (let at = 0; at < whole; at += EVENT_BYTES) {
      if (!isPress(bytes.subarray(at, at + EVENT_BYTES), button.key)) continue;
      const nowMs = clock.monotonicMs();
      if (nowMs - lastMs < DEBOUNCE_MS) continue;
      lastMs = nowMs;
      pressed();
    }
    bytes.copyWithin(0, whole, held);
    held -= whole;
    await pause(LOOK_EVERY_MS, signal);
  }
}

function isPress(event: Buffer, key: number | undefined): boolean {
  return (
    event.readUInt16LE(TYPE_AT) === EV_KEY &&
    event.readInt32LE(VALUE_AT) === DOWN &&
    (key === undefined || event.readUInt16LE(CODE_AT) === key)
  );
}

/** What can be read: nothing, before a press or where a pipe has no writer. */
function readSome(device: number, path: string, into: Buffer): number {
  try {
    return readSync(device, into);
  } catch (cause) {
    if (systemCodeOf(cause) === "EAGAIN") return 0;
    throw unreadable(path, cause);
  }
}

function unreadable(device: string, cause: unknown): PorchlightError {
  return new PorchlightError(
    "button.unreadable",
    `the button ${device} cannot be read: ${messageOf(cause)}`,
    {
      remedy: "retry",
      hint: "see which devices there are: cat /proc/bus/input/devices; the user needs the group input",
      cause,
    },
  );
}
