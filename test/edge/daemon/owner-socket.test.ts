import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmodSync, statSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import sharp from "sharp";
import * as assert from "uvu/assert";
import { blank, encodeJpeg } from "../../../edge/vision/image.ts";
import { json, porchlight, startDaemon } from "../../support/cli.ts";
import { bundledPeople } from "../../support/people.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";
import { until } from "../../support/until.ts";

const owner = suite("commands beside the running daemon");
const folder = tempFolder("owner");
const at = (name: string): string => join(folder.path, name);
const config = at("porchlight.yaml");
const socket = at("data/vault/owner.sock");
const program = at("rpicam-vid");
const environment = { PATH: `${folder.path}:${process.env["PATH"]}` };
let daemon: ChildProcess;
let said = "";

interface Row {
  readonly what: string;
  readonly ok: boolean;
  readonly found: string;
}

/** A camera that one program alone can hold, as a real one: a lock says so. */
owner.before(async () => {
  const ada = (await bundledPeople()).find(({ name }) => name === "Ada");
  const [portrait] = ada?.enrolment ?? [];
  assert.ok(portrait);
  const lying = await sharp(portrait).resize(480).rotate(180).jpeg().toBuffer();
  writeFileSync(at("face.jpg"), lying);
  writeFileSync(
    at("moved.jpg"),
    await sharp(lying).modulate({ brightness: 0.98 }).jpeg().toBuffer(),
  );
  writeFileSync(
    program,
    `#!/bin/sh
mkdir ${at("held")} 2>/dev/null || { echo "Pipeline handler in use by another process" >&2; exit 1; }
trap 'rmdir ${at("held")}; exit 0' TERM
while :; do cat ${at("face.jpg")} ${at("moved.jpg")}; sleep 0.1; done
`,
  );
  chmodSync(program, 0o755);
  const masks = "[[[0, 0], [0.1, 0], [0.1, 0.1], [0, 0.1]]]";
  writeFileSync(
    config,
    `data: ${at("data")}\nmodels: {threads: 1}\ncamera: {kind: libcamera, rotationDegrees: 180, masks: ${masks}}\n`,
  );
  assert.is((await porchlight(["init", "--config", config])).code, 0);
  daemon = startDaemon(["--config", config], environment);
  daemon.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  daemon.stdout?.resume();
  await until(
    "the door is watched",
    () => said.includes('"watching"') || said.includes("watching"),
  );
});
owner.after(async () => {
  if (daemon.exitCode === null && daemon.signalCode === null) {
    daemon.kill("SIGKILL");
    await once(daemon, "close");
  }
  folder.remove();
});

owner("the socket is its user's alone", () => {
  assert.is(statSync(socket).mode & 0o777, 0o600);
});

owner("status says what the camera does, and since when", async () => {
  const { camera } = json<{ camera: { state: string; sinceMs: number; lastFrameAtMs: number } }>(
    await porchlight(["status", "--config", config, "--json"]),
  );
  assert.is(camera.state, "watching");
  assert.ok(camera.lastFrameAtMs >= camera.sinceMs);
});

owner("doctor and enroll --camera get the frames that the daemon sees", async () => {
  const ran = await porchlight(["doctor", "--config", config, "--json"], environment);
  const frame = json<Row[]>(ran).find(({ what }) => what === "frame");
  assert.ok(frame?.ok, JSON.stringify(frame));
  assert.match(frame.found, /480 × \d+; faces: \d+ px/);
  const args = ["enroll", "Ada", "--camera", "--config", config, "--json"];
  const enrolled = await porchlight(args, environment);
  assert.is(enrolled.code, 0, enrolled.err + enrolled.out);
});

owner("an unknown request, a long one and an endless crowd change nothing", async () => {
  for (const request of ["erase\n", "x".repeat(1_000)]) {
    const client = createConnection(socket);
    client.on("error", () => undefined);
    client.write(request);
    let answer = "";
    client.on("data", (chunk) => {
      answer += String(chunk);
    });
    await once(client, "close");
    assert.is(answer, "");
  }
  const crowd = Array.from({ length: 50 }, () =>
    createConnection(socket).on("error", () => undefined),
  );
  await new Promise((done) => setTimeout(done, 100));
  for (const client of crowd) client.destroy();
  const ran = await porchlight(["status", "--config", config, "--json"]);
  assert.is(json<{ camera: { state: string } }>(ran).camera.state, "watching");
});

owner("without a daemon the camera's own words and the next command are said", async () => {
  daemon.kill("SIGTERM");
  await once(daemon, "close");
  const ran = await porchlight(["status", "--config", config]);
  assert.match(ran.out, /camera +no daemon runs/);
  writeFileSync(
    program,
    "#!/bin/sh\necho 'Pipeline handler in use by another process' >&2\nexit 1\n",
  );
  const enrolled = await porchlight(["enroll", "Eve", "--camera", "--config", config], environment);
  assert.is(enrolled.code, 1);
  assert.match(enrolled.err, /gave no frame for 15 s: .*in use by another process/);
  assert.match(enrolled.err, /sudo systemctl stop porchlight/);
});

owner("a camera that hangs the wrong way is told by doctor, with the setting", async () => {
  const photos = at("sideways");
  const face = await sharp(at("face.jpg")).rotate(90).jpeg().toBuffer();
  writeFileSync(`${photos}.jpg`, face);
  writeFileSync(at("blank.jpg"), await encodeJpeg(blank(320, 240)));
  for (const [picture, rotationDegrees, words] of [
    [`${photos}.jpg`, 0, /turned by 90°.*rotationDegrees: 90/],
    [`${photos}.jpg`, 180, /turned by 270°.*rotationDegrees: 90/],
    [`${photos}.jpg`, 90, /^(?!.*turned).*faces: \d+ px/],
    [at("blank.jpg"), 0, /no face in it/],
  ] as const) {
    const camera = `{kind: files, paths: [${picture}], rotationDegrees: ${rotationDegrees}}`;
    writeFileSync(config, `data: ${at("data")}\nmodels: {threads: 1}\ncamera: ${camera}\n`);
    const ran = await porchlight(["doctor", "--config", config, "--json"]);
    const found = json<Row[]>(ran).find(({ what }) => what === "frame")?.found ?? "";
    assert.match(found, words, found);
  }
});

owner.run();
