import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { needs } from "./needs.ts";

const SERVER = fileURLToPath(new URL("./rtsp-server.py", import.meta.url));
// Debian's own Python: its GStreamer bindings are in no other.
const PYTHON = "/usr/bin/python3";

export function needsRtsp(): boolean {
  const bindings = "/usr/share/doc/gir1.2-gst-rtsp-server-1.0";
  const packages = "gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-rtsp";
  return needs(existsSync(bindings), "an RTSP server", `apt-get install ${packages}`);
}

export interface RtspServer {
  readonly port: number;
  stop(): Promise<void>;
}

/** A real network camera that shows `folder/0000.jpg` and so on, over and over. */
export async function startRtsp(
  folder: string,
  user: string,
  password: string,
): Promise<RtspServer> {
  const child = spawn(PYTHON, [SERVER, `${folder}/%04d.jpg`], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(child, "close");
  child.stdin.write(`${user} ${password}\n`);
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return {
    port: Number(line.toString()),
    async stop() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}
