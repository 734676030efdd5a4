/** The demo's centre and agent, each in its own process as in production. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { PorchlightError } from "../../shared/core/errors.ts";
import { pause } from "../../shared/core/retry.ts";
import { bundleSchema } from "../../shared/protocol/bundle.ts";
import { signingKeyPath } from "../config/paths.ts";
import { placePublicKey } from "../vault/site-key.ts";

/** A visit as the centre's database has it. */
const visitSchema = z.object({
  visit: z.string(),
  outcome: z.string().nullable(),
  endedAt: z.string().nullable(),
  delayMs: z.number().nullable(),
});
export type CentralVisit = z.infer<typeof visitSchema>;

export interface DemoCentre {
  /** Starts the agent: what is in the log from now on goes to the centre as it comes. */
  join(device: string): Promise<void>;
  /** The visits there, once so many have ended or the time is over. */
  visits(count: number): Promise<readonly CentralVisit[]>;
  /** Whether every hash there is right. */
  verified(): Promise<boolean>;
  stop(): Promise<void>;
}

export interface DemoCentreOptions {
  readonly folder: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}

/** Compiled or not, the programs are in the same folder. */
const PROGRAM = fileURLToPath(new URL("../../cloud-sync/cli/porchlight-cloud.js", import.meta.url));
const AGENT = fileURLToPath(new URL("../agent/main.js", import.meta.url));
/** A visit is there milliseconds after it was seen; a busy machine takes longer. */
const ARRIVE_MS = 15_000;
const LOOK_EVERY_MS = 250;

/** Whether the centre's program is part of this installation: a doorbell's has none. */
export function hasCentre(): boolean {
  return existsSync(PROGRAM);
}

/** Throws `demo.centre` when it does not start, with what it said. */
export async function startDemoCentre(options: DemoCentreOptions): Promise<DemoCentre> {
  const { folder, environment, signal } = options;
  mkdirSync(folder, { recursive: true });
  const at = ["--data", folder];
  const ports = { PORCHLIGHT_CLOUD_BROKER_PORT: "0", PORCHLIGHT_CLOUD_HTTP_PORT: "0" };
  const env = { ...environment, ...ports };
  const centre = spawn(process.execPath, [PROGRAM, "start", ...at], {
    env,
    // The channel says nothing but that this process lives: killed, it leaves no centre behind.
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  const children: ChildProcess[] = [centre];
  await firstLine(centre);
  const ask = (...words: string[]): Promise<unknown> =>
    answerOf(spawn(process.execPath, [PROGRAM, ...words, ...at, "--json"], { env }));
  const list = async (): Promise<readonly CentralVisit[]> =>
    z.array(visitSchema).parse(await ask("visits", "list", "--limit", "1000"));
  return {
    async join(device) {
      const bundle = join(folder, "bundle.json");
      await ask("devices", "add", device, "--out", bundle);
      const { signing } = bundleSchema.parse(JSON.parse(readFileSync(bundle, "utf8")));
      placePublicKey(signingKeyPath({ data: join(folder, "..") }), signing);
      const data = ["--data", join(folder, "..")];
      // No key: what it sends it gets from the feed of the process that sees faces.
      const keys = { PORCHLIGHT_SYNC_BUNDLE_FILE: bundle };
      const agent = spawn(process.execPath, [AGENT, ...data], {
        env: { ...environment, ...keys },
        stdio: ["ignore", "ignore", "ignore", "ipc"],
      });
      children.unshift(agent);
    },
    async visits(count) {
      const deadline = performance.now() + ARRIVE_MS;
      for (;;) {
        const visits = await list();
        const ended = visits.filter(({ endedAt }) => endedAt !== null).length;
        if (ended >= count || performance.now() > deadline || signal.aborted) return visits;
        await pause(LOOK_EVERY_MS, signal);
      }
    },
    async verified() {
      const reports = z.array(z.object({ fault: z.unknown() })).parse(await ask("log", "verify"));
      return reports.length > 0 && reports.every(({ fault }) => fault === null);
    },
    async stop() {
      for (const child of children) await ended(child);
    },
  };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const over = once(child, "close");
  child.kill("SIGTERM");
  await over;
}

/** Of a centre that is ready. */
function firstLine(child: ChildProcess): Promise<string> {
  let output = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    output = `${output}${text}`.slice(-2_000);
  });
  return new Promise((done, failed) => {
    if (child.stdout !== null) createInterface({ input: child.stdout }).once("line", done);
    child.once("close", () => failed(notStarted(output)));
    child.once("error", (error) => failed(notStarted(error.message)));
  });
}

async function answerOf(child: ChildProcess): Promise<unknown> {
  let out = "";
  let output = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const [code] = await once(child, "close");
  if (code !== 0) throw notStarted(output);
  return JSON.parse(out);
}

function notStarted(output: string): PorchlightError {
  const words = output.trim().split("\n").slice(-2).join(" ");
  return new PorchlightError("demo.centre", `the centre does not run: ${words}`, {
    hint: "see why: porchlight-cloud start --data ./data",
  });
}
