/** A centre with an honest device, and hostile ones beside it: how long its acks take meanwhile. */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { quantile } from "./bench.ts";
import { porchlightCloud, startCentre } from "./cloud.ts";
import { type HonestDevice, honestDevice, honestLog } from "./honest-device.ts";
import type { HostileOrder } from "./hostile-device.ts";
import { tempFolder } from "./temp.ts";
import { peakMiB } from "./usage.ts";

const HOSTILE = fileURLToPath(new URL("./hostile-device.ts", import.meta.url));
/** A door whose log moves ten times a second is a busy one. */
const PAUSE_MS = 100;

export const LOG_ATTACKS = ["junk", "entries", "logs", "statuses", "requests", "keys"] as const;
/** They need our own broker: another's does not ask us about passwords and connections. */
export const ATTACKS = [
  ...LOG_ATTACKS,
  ...(["unacknowledged", "deaf", "connects", "passwords", "uploads"] as const),
];
export type Attack = (typeof ATTACKS)[number];

export interface Siege {
  readonly attacks: string;
  /** Of the honest device's acks, ms. */
  readonly p50: number;
  readonly p95: number;
  readonly max: number;
  readonly acks: number;
  /** How often each hostile device did what it does. */
  readonly done: readonly number[];
}

export interface Besieged {
  /** Measures for so many seconds, with these attacks at once; none for the undisturbed figures. */
  siege(attacks: readonly Attack[], seconds: number): Promise<Siege>;
  peakMiB(): number;
  /** What it said on standard error: nothing, if all is as it should be. */
  err(): string;
  /** Its exit code. */
  stop(): Promise<number | null>;
}

/** With a broker of its own, or with one that lets everybody in; and so many hostile devices. */
export async function besiegedCentre(mosquitto: string | null, devices: number): Promise<Besieged> {
  const folder = tempFolder("besieged");
  const at = ["--data", folder.path];
  const centre = await startCentre(at, {
    PORCHLIGHT_CLOUD_LOG_LEVEL: "error",
    ...(mosquitto !== null && { PORCHLIGHT_CLOUD_MQTT_URL: mosquitto }),
  });
  const url = mosquitto ?? centre.ready.mqtt;
  const passwordOf = async (device: string): Promise<string> => {
    const out = `${folder.path}/${device}.bundle`;
    await porchlightCloud(["devices", "add", device, "--out", out, ...at]);
    return JSON.parse(readFileSync(out, "utf8")).password;
  };
  const log = honestLog();
  const honest: HonestDevice = await honestDevice(url, log, await passwordOf(log.device));
  const hostile = await Promise.all(
    Array.from({ length: devices }, async () => {
      const device = randomUUID();
      return { device, password: await passwordOf(device) };
    }),
  );
  const orderOf = (attack: Attack, seconds: number): HostileOrder => {
    const one = hostile[ATTACKS.indexOf(attack) % devices] ?? { device: "", password: "" };
    return { attack, url, victim: log.device, seconds, ...one };
  };
  return {
    async siege(attacks, seconds) {
      const ended = attacks.map((attack) => attacker(orderOf(attack, seconds)));
      const times: number[] = [];
      for (const until = Date.now() + seconds * 1_000; Date.now() < until; await sleep(PAUSE_MS)) {
        times.push(await honest.next());
      }
      const done = await Promise.all(ended);
      const name = attacks.length === 0 ? "undisturbed" : attacks.join(" and ");
      const [p50, p95, max] = [0.5, 0.95, 1].map((part) => quantile(times, part));
      return {
        attacks: name,
        p50: p50 ?? 0,
        p95: p95 ?? 0,
        max: max ?? 0,
        acks: times.length,
        done,
      };
    },
    peakMiB: () => peakMiB(centre.child.pid ?? 0),
    err: centre.err,
    async stop() {
      await honest.end();
      const code = await centre.stop();
      folder.remove();
      return code;
    },
  };
}

/** How often it did what it was told. */
async function attacker(order: HostileOrder): Promise<number> {
  const child = spawn(process.execPath, [HOSTILE, JSON.stringify(order)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let out = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  await once(child, "close");
  return Number(out);
}
