import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { needsProgram } from "./needs.ts";
import { freePort } from "./port.ts";
import { tempFolder } from "./temp.ts";
import { answers } from "./versitygw.ts";

const READY_TIMEOUT_MS = 30_000;

export function needsInflux(): boolean {
  return needsProgram("influxd", "influxdb");
}

export function needsVictoria(): boolean {
  return needsProgram("victoria-metrics", "victoria-metrics");
}

export interface MetricsServer {
  readonly port: number;
  readonly url: string;
  /** InfluxQL of version 1, as its administrator. */
  query(text: string): Promise<unknown>;
  stop(): Promise<void>;
}

export const ADMIN = { username: "admin", password: "geheim" } as const;

/** InfluxDB 1.6 with accounts, on free loopback ports. */
export async function startInflux(): Promise<MetricsServer> {
  const temp = tempFolder("influx");
  const [port, backup] = [await freePort(), await freePort()];
  const file = join(temp.path, "influxdb.conf");
  writeFileSync(
    file,
    `reporting-disabled = true
bind-address = "127.0.0.1:${backup}"
[meta]
  dir = "${temp.path}/meta"
[data]
  dir = "${temp.path}/data"
  wal-dir = "${temp.path}/wal"
[http]
  bind-address = "127.0.0.1:${port}"
  auth-enabled = true
  log-enabled = false
[monitor]
  store-enabled = false
`,
  );
  const child = spawn("influxd", ["-config", file], { stdio: "ignore" });
  const url = `http://127.0.0.1:${port}`;
  await started(child, `${url}/ping`);
  const query = async (text: string): Promise<unknown> => {
    const account = Buffer.from(`${ADMIN.username}:${ADMIN.password}`).toString("base64");
    const body = new URLSearchParams({ q: text });
    const headers = { authorization: `Basic ${account}` };
    return (await fetch(`${url}/query`, { method: "POST", headers, body })).json();
  };
  const admin = `CREATE USER ${ADMIN.username} WITH PASSWORD '${ADMIN.password}' WITH ALL PRIVILEGES`;
  await query(admin);
  return { port, url, query, stop: () => stopped(child, temp) };
}

/** VictoriaMetrics: speaks the write path of InfluxDB 2, and keeps what comes twice once. */
export async function startVictoria(): Promise<MetricsServer> {
  const temp = tempFolder("victoria");
  const port = await freePort();
  const listen = [`-httpListenAddr=127.0.0.1:${port}`, `-storageDataPath=${temp.path}`];
  const keep = ["-retentionPeriod=100y", "-dedup.minScrapeInterval=1ms", "-loggerLevel=ERROR"];
  const child = spawn("victoria-metrics", [...listen, ...keep], { stdio: "ignore" });
  const url = `http://127.0.0.1:${port}`;
  await started(child, `${url}/health`);
  const query = async (match: string): Promise<unknown> => {
    await fetch(`${url}/internal/force_flush`);
    const found = await fetch(`${url}/api/v1/export?${new URLSearchParams({ "match[]": match })}`);
    const lines = (await found.text()).split("\n").filter(Boolean);
    return lines.sort().map((line) => JSON.parse(line));
  };
  return { port, url, query, stop: () => stopped(child, temp) };
}

async function started(child: ChildProcess, url: string): Promise<void> {
  process.once("exit", () => child.kill("SIGKILL"));
  await answers(url, READY_TIMEOUT_MS);
}

async function stopped(child: ChildProcess, temp: { remove(): void }): Promise<void> {
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
  temp.remove();
}
