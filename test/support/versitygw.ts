import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { BUILD_REMEDY, VERSITYGW } from "./built.ts";
import { needs } from "./needs.ts";
import { freePort } from "./port.ts";
import { tempFolder } from "./temp.ts";

const READY_TIMEOUT_MS = 15_000;

export function needsVersitygw(): boolean {
  return needs(existsSync(VERSITYGW.program), "versitygw, an S3 server", BUILD_REMEDY);
}

export interface S3Server {
  /** As objects.* of a centre's configuration. */
  readonly account: {
    readonly endpoint: string;
    readonly region: string;
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly forcePathStyle: true;
  };
  stop(): Promise<void>;
}

/** An S3 server on a free loopback port, its objects in a temp folder; with a certificate, by TLS. */
export async function startVersitygw(
  tls: { readonly certificateFile: string; readonly keyFile: string } | null = null,
): Promise<S3Server> {
  const temp = tempFolder("versitygw");
  const [data, iam, versions] = ["data", "iam", "versions"].map((name) => join(temp.path, name));
  for (const folder of [data, iam, versions]) mkdirSync(folder ?? "");
  const port = await freePort();
  const [accessKeyId, secretAccessKey] = ["test", "test-secret"];
  const options = ["--port", `127.0.0.1:${port}`, "--health", "/health", "--quiet"];
  if (tls !== null) options.push("--cert", tls.certificateFile, "--key", tls.keyFile);
  const posix = ["posix", "--versioning-dir", versions ?? "", data ?? ""];
  const child = spawn(VERSITYGW.program, [...options, "--iam-dir", iam ?? "", ...posix], {
    env: { ROOT_ACCESS_KEY: accessKeyId, ROOT_SECRET_KEY: secretAccessKey },
    stdio: "ignore",
  });
  process.once("exit", () => child.kill("SIGKILL"));
  const endpoint = `${tls === null ? "http" : "https"}://127.0.0.1:${port}`;
  await (tls === null ? answers(`${endpoint}/health`, READY_TIMEOUT_MS) : listens(port));
  return {
    account: {
      endpoint,
      region: "us-east-1",
      accessKeyId,
      secretAccessKey,
      forcePathStyle: true,
    },
    async stop() {
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
      temp.remove();
    },
  };
}

/** Waits until an HTTP server says that it is well. */
export async function answers(url: string, timeoutMs: number): Promise<void> {
  for (const deadline = Date.now() + timeoutMs; Date.now() < deadline; await sleep(30)) {
    const response = await fetch(url).catch(() => null);
    await response?.body?.cancel();
    if (response?.ok) return;
  }
  throw new Error(`nobody answers at ${url}`);
}

/** Its port, whatever certificate it has. */
async function listens(port: number): Promise<void> {
  for (const deadline = Date.now() + READY_TIMEOUT_MS; Date.now() < deadline; await sleep(30)) {
    const socket = connect(port, "127.0.0.1");
    const open = await once(socket, "connect").then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (open) return;
  }
  throw new Error(`nobody listens on ${port}`);
}
