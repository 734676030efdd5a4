import type { Boundary } from "../../shared/core/boundary.ts";
import { PorchlightError } from "../../shared/core/errors.ts";
import { pause } from "../../shared/core/retry.ts";
import { MESSAGES, type MessageChannel, type OnMessage, type Receiver } from "./transport.ts";

const AGAIN_MS = 500;

/** Hears the devices of this site alone: what others say on the same broker is not for us. */
export function onlyOurs(
  receiver: Receiver,
  isOurs: (device: string) => Promise<boolean>,
  boundary: Pick<Boundary, "eachAsync">,
): Receiver {
  const heard = (channel: MessageChannel): OnMessage => {
    const hear = receiver.onMessage[channel];
    return (device, payload) => {
      void boundary.eachAsync(device, async () => {
        if (await isOurs(device)) hear(device, payload);
      });
    };
  };
  const channels = Object.keys(MESSAGES) as MessageChannel[]; // keys, which Object.keys forgets
  return {
    async onBatch(device, payload, signal, shared) {
      if (!(await answered(() => isOurs(device), signal))) return;
      await receiver.onBatch(device, payload, signal, shared);
    },
    onMessage: Object.fromEntries(
      channels.map((channel) => [channel, heard(channel)]),
    ) as Receiver["onMessage"],
  };
}

/** While nobody can tell, the broker keeps the rest. */
async function answered(ask: () => Promise<boolean>, signal: AbortSignal): Promise<boolean> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof PorchlightError) || error.remedy !== "retry") throw error;
      await pause(AGAIN_MS, signal);
    }
  }
}
