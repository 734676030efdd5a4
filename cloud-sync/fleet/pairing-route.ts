/** Where a device shows its code, and gets its bundle. Nobody else sees either. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { type Bucket, createBucket } from "../../shared/core/token-bucket.ts";
import type { Bundle } from "../../shared/protocol/bundle.ts";
import { pairingRequestSchema } from "../../shared/protocol/pairing.ts";
import { PAIRINGS, PAIRINGS_PER_ADDRESS, REMEMBERED_MAX } from "../fairness/limits.ts";
import { createRecentMap } from "../fairness/recent-map.ts";
import { addressOf } from "../fairness/unauthenticated.ts";
import type { Devices } from "./devices.ts";
import type { PairingCodes } from "./pairing.ts";

export interface PairingOptions {
  readonly codes: Pick<PairingCodes, "redeem">;
  readonly devices: Pick<Devices, "add" | "rotate">;
  /** Makes the bundle of a device with this password. */
  readonly bundleOf: (device: string, password: string) => Promise<Bundle>;
  readonly newId: () => string;
  readonly monotonicMs: () => number;
  readonly logger: Logger;
}

const REQUEST_BYTES_MAX = 1_024;

export function createPairingRoute(options: PairingOptions) {
  const { codes, devices, bundleOf, newId, monotonicMs, logger } = options;
  const attempts = createRecentMap<Bucket>(REMEMBERED_MAX);
  const all = createBucket({ ...PAIRINGS, monotonicMs });
  const admits = (address: string): boolean =>
    attempts.get(address, () => createBucket({ ...PAIRINGS_PER_ADDRESS, monotonicMs })).take() &&
    all.take();
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (!admits(addressOf(request.socket))) {
      request.resume();
      answer(response, 429, { error: "pairing.wait" });
      return;
    }
    const said = pairingRequestSchema.safeParse(jsonOf(await bodyOf(request)));
    if (!said.success) {
      answer(response, 400, { error: "pairing.request" });
      return;
    }
    const invited = await redeemed(codes, said.data.code);
    const device = invited?.device ?? said.data.device ?? newId();
    if (invited === null || (said.data.device ?? device) !== device) {
      logger.warn("a pairing code was refused", { reason: invited ? "another device" : "unknown" });
      answer(response, 404, { error: "pairing.code.unknown" });
      return;
    }
    const password = await passwordOf(devices, device, invited.name);
    const bundle = await bundleOf(device, password);
    logger.info("a device was paired", { device });
    answer(response, 200, { bundle });
  };
}

/** A new one, also of a device that is registered already: the old one is good no longer. */
async function passwordOf(
  devices: PairingOptions["devices"],
  device: string,
  name: string | null,
): Promise<string> {
  try {
    return await devices.rotate(device);
  } catch (error) {
    if (!(error instanceof PorchlightError) || error.code !== "device.unknown") throw error;
    return await devices.add(device, name);
  }
}

/** What is no code at all is as good as a wrong one. */
async function redeemed(codes: Pick<PairingCodes, "redeem">, code: string) {
  try {
    return await codes.redeem(code);
  } catch (error) {
    if (error instanceof PorchlightError && error.code === "pairing.code") return null;
    throw error;
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) {
    text += chunk;
    if (text.length > REQUEST_BYTES_MAX) return "";
  }
  return text;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
  response.end(`${JSON.stringify(body)}\n`);
}
