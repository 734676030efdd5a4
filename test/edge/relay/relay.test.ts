import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createConnection } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { streamCamera } from "../../../edge/camera/stream.ts";
import { networkSource, parseCameraUrl } from "../../../edge/relay/network-source.ts";
import { blank, encodeJpeg } from "../../../edge/vision/image.ts";
import { cameraParts, isJpeg, take } from "../../support/camera.ts";
import { collect, porchlight, userEnvironment } from "../../support/cli.ts";
import { needs, needsProgram } from "../../support/needs.ts";
import { bundledPeople, writePhotos, writeScenes } from "../../support/people.ts";
import { needsRtsp, type RtspServer, startRtsp } from "../../support/rtsp.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";
import { until } from "../../support/until.ts";

const RELAY = fileURLToPath(new URL("../../../dist/edge/relay/main.js", import.meta.url));
const DAEMON = fileURLToPath(new URL("../../../dist/edge/main.js", import.meta.url));
const PASSWORD = "hunter2-Qx";

const relay = suite("a network camera, read by a separate process");
const folder = tempFolder("relay");
const socket = join(folder.path, "front.sock");
const isRoot = process.getuid?.() === 0;
const able =
  needsRtsp() &&
  needsProgram("ffmpeg", "ffmpeg") &&
  needs(isRoot, "the right to make a network namespace", "run the tests as root");

/** Starts the relay; its URL lies in a file. */
function startRelay(url: string): { readonly child: ChildProcess; readonly said: () => string } {
  const file = join(folder.path, "camera-url");
  writeFileSync(file, `${url}\n`, { mode: 0o600 });
  const child = spawn(process.execPath, [RELAY, "--socket", socket], {
    env: userEnvironment({ PORCHLIGHT_CAMERA_URL_FILE: file }),
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
  }
  return { child, said: () => said };
}

/** The command lines of all processes, as any user can read them. */
function commandLines(): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8");
      } catch {
        return ""; // it has ended meanwhile
      }
    });
}

relay.after(() => folder.remove());

relay("a URL that is none is refused without repeating it", () => {
  for (const text of ["", "file:///etc/shadow", `rtsp-${PASSWORD}`, "gopher://1.2.3.4"]) {
    assert.throws(
      () => parseCameraUrl(text),
      ({ code, message }: { code: string; message: string }) =>
        code === "camera.url" && !message.includes(PASSWORD),
    );
  }
});

relay("a file with the URL that others can read is refused", async () => {
  const file = join(folder.path, "exposed");
  writeFileSync(file, "rtsp://127.0.0.1/", { mode: 0o644 });
  const child = spawn(process.execPath, [RELAY, "--socket", socket], {
    env: userEnvironment({ PORCHLIGHT_CAMERA_URL_FILE: file }),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const { code, err } = await collect(child);
  assert.is(code, 78);
  assert.match(err, /chmod 600/);
});

if (needsProgram("ffmpeg", "ffmpeg")) {
  relay(
    "an address that gives one picture is asked for the next one at the frame rate",
    async () => {
      let asked = 0;
      const server = createServer((request, response) => {
        const { authorization } = request.headers;
        if (authorization === undefined) {
          response.writeHead(401, { "www-authenticate": 'Basic realm="camera"' }).end();
          return;
        }
        const shade = 20 + (asked++ % 20) * 10;
        void encodeJpeg(blank(160, 120, [shade, shade, shade])).then((jpeg) => {
          response.writeHead(200, { "content-type": "image/jpeg" }).end(jpeg);
        });
      });
      await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
      const address = server.address();
      assert.ok(typeof address === "object" && address !== null);
      const url = parseCameraUrl(`http://porch:${PASSWORD}@127.0.0.1:${address.port}/snap.jpg`);
      for (const copy of [false, true]) {
        asked = 0;
        const parts = cameraParts();
        const start = networkSource(url, { copy, framesPerSecond: 10, widthPx: 160 });
        const camera = streamCamera({ name: "network", start, stallMs: 8_000 }, parts);
        const frames = await take(camera, 8);
        assert.ok(frames.every(({ image }) => isJpeg(image)));
        assert.ok(
          new Set(frames.map(({ image }) => image.toString("base64"))).size > 4,
          "new ones",
        );
        const [first, last] = [frames[1]?.monotonicMs ?? 0, frames.at(-1)?.monotonicMs ?? 0];
        assert.ok(last - first > 300, `at most the frame rate: ${last - first} ms for 7 frames`);
        assert.match(parts.lines.join(""), /one picture, not a stream: it is polled/);
        assert.not.match(parts.lines.join(""), PASSWORD);
      }
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  );
}

if (able) {
  let camera: RtspServer;
  const config = join(folder.path, "porchlight.yaml");

  relay.before(async () => {
    const people = await bundledPeople();
    writePhotos(people, join(folder.path, "photos"));
    const grace = people.filter(({ name }) => name === "Grace");
    await writeScenes(grace, join(folder.path, "scenes"), 20);
    camera = await startRtsp(join(folder.path, "scenes"), "porch", PASSWORD);
    writeFileSync(
      config,
      `data: ${folder.path}/data\nmodels: {threads: 1}\n` +
        `camera: {kind: socket, path: ${socket}}\nrecognition: {absentMs: 800, decideAfterMs: 300}\n`,
    );
    await porchlight(["init", "--data", join(folder.path, "data")]);
    const at = ["--config", config];
    const { code, err } = await porchlight([
      "enroll",
      "Grace",
      join(folder.path, "photos/Grace"),
      ...at,
    ]);
    assert.is(code, 0, err);
  });
  relay.after(() => camera.stop());

  relay("a daemon without any network recognises who is before a network camera", async () => {
    const reader = startRelay(`rtsp://porch:${PASSWORD}@127.0.0.1:${camera.port}/door`);
    const daemon = spawn("unshare", ["--net", process.execPath, DAEMON, "--config", config], {
      env: userEnvironment(),
      stdio: ["ignore", "pipe", "pipe"],
    });
    let events = "";
    daemon.stdout.setEncoding("utf8").on("data", (text: string) => {
      events += text;
    });
    daemon.stderr.resume();
    await until("Grace is recognised", () => /"visit.recognised".*"known"/.test(events));
    const lists = commandLines();
    const links = spawnSync("nsenter", ["-t", String(daemon.pid), "-n", "cat", "/proc/net/dev"]);
    for (const child of [reader.child, daemon]) {
      child.kill("SIGTERM");
      await once(child, "close");
    }
    assert.ok(lists.some((line) => line.includes("ffmpeg") && line.includes("concat")));
    assert.not.ok(
      lists.some((line) => line.includes(PASSWORD)),
      "the password is in no argument",
    );
    assert.not.match(reader.said(), PASSWORD);
    const interfaces = links.stdout
      .toString()
      .split("\n")
      .filter((line) => line.includes(":"));
    assert.ok(interfaces.every((line) => line.trim().startsWith("lo:")));
  });

  relay("a wrong password is a lost camera that is tried again, and stays unsaid", async () => {
    const reader = startRelay(`rtsp://porch:${PASSWORD}-wrong@127.0.0.1:${camera.port}/door`);
    await until("it tells the failure", () => reader.said().includes("camera lost"));
    reader.child.kill("SIGTERM");
    await once(reader.child, "close");
    assert.not.match(reader.said(), PASSWORD);
    assert.not.match(reader.said(), /rtsp:/);
  });

  relay("a listener that does not read misses frames, and holds up nobody", async () => {
    const reader = startRelay(`rtsp://porch:${PASSWORD}@127.0.0.1:${camera.port}/door`);
    await until("the relay listens", () => reader.said().includes("relaying"));
    const lazy = createConnection(socket).pause();
    const eager = createConnection(socket);
    let bytes = 0;
    eager.on("data", (chunk) => {
      bytes += chunk.length;
    });
    await until("frames have come", () => bytes > 3_000_000);
    const status = readFileSync(`/proc/${reader.child.pid}/status`, "utf8");
    const residentKb = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
    assert.ok(residentKb < 150_000, `${residentKb} kB: frames are queued`);
    lazy.destroy();
    eager.destroy();
    reader.child.kill("SIGTERM");
    const [code] = (await once(reader.child, "close")) as [number];
    assert.is(code, 0);
  });
}

relay.run();
