import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const ACKER = fileURLToPath(new URL("./acker.ts", import.meta.url));

/** Starts the centre that believes everything; it listens when this resolves. */
export async function startAcker(url: string): Promise<{ stop(): Promise<void> }> {
  const child = spawn(process.execPath, [ACKER, url], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "close");
  await once(child.stdout, "data");
  return {
    async stop() {
      child.kill();
      await ended;
    },
  };
}
