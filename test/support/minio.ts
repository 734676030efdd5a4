import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { FULL_BUILD_REMEDY, MINIO } from "./built.ts";
import { needs } from "./needs.ts";
import { freePort } from "./port.ts";
import { tempFolder } from "./temp.ts";
import { answers, type S3Server } from "./versitygw.ts";

const READY_TIMEOUT_MS = 30_000;

export function needsMinio(): boolean {
  return needs(existsSync(MINIO.program), "MinIO", FULL_BUILD_REMEDY);
}

/** MinIO on a free loopback port, its objects in a temp folder. */
export async function startMinio(): Promise<S3Server> {
  const temp = tempFolder("minio");
  const port = await freePort();
  const [accessKeyId, secretAccessKey] = ["test", "test-secret"];
  const child = spawn(
    MINIO.program,
    ["server", temp.path, "--address", `127.0.0.1:${port}`, "--quiet"],
    {
      env: {
        HOME: temp.path,
        MINIO_ROOT_USER: accessKeyId,
        MINIO_ROOT_PASSWORD: secretAccessKey,
        MINIO_BROWSER: "off",
        MINIO_UPDATE: "off",
      },
      stdio: "ignore",
    },
  );
  process.once("exit", () => child.kill("SIGKILL"));
  const endpoint = `http://127.0.0.1:${port}`;
  await answers(`${endpoint}/minio/health/ready`, READY_TIMEOUT_MS);
  return {
    account: { endpoint, region: "us-east-1", accessKeyId, secretAccessKey, forcePathStyle: true },
    async stop() {
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
      temp.remove();
    },
  };
}
