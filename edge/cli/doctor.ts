import { closeSync, existsSync, readdirSync } from "node:fs";
import { table } from "../../shared/cli/terminal.ts";
import { NO_OPERANDS } from "../../shared/cli/verb.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { EXIT, messageOf, PorchlightError } from "../../shared/core/errors.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import { runtimeWords } from "../../shared/core/own-runtime.ts";
import { LIBCAMERA_PROGRAMS, libcameraStill } from "../camera/libcamera.ts";
import { findProgram } from "../camera/open-camera.ts";
import { visionOptions } from "../config/options.ts";
import { keySources, modelsFolder } from "../config/paths.ts";
import { openButton } from "../doorbell/button.ts";
import { clockState } from "../host/clock-state.ts";
import { keyPath, readKey } from "../host/key-file.ts";
import { explained } from "../sqlite/failure.ts";
import type { Face, RgbImage } from "../vision/face.ts";
import { decodeImage, turn } from "../vision/image.ts";
import { mountOf } from "../vision/mounting.ts";
import { listPacks } from "../vision/packs/models.ts";
import { openVision, type Vision } from "../vision/vision.ts";
import { cameraFrames, configuredCamera } from "./camera-frames.ts";
import { daemonCamera } from "./daemon-client.ts";
import { packThresholdProblems } from "./pack-thresholds.ts";
import { type Invocation, type Verb, verb } from "./verb.ts";

interface Finding {
  readonly what: string;
  readonly ok: boolean;
  readonly found: string;
}

async function check(what: string, look: () => string | Promise<string>): Promise<Finding> {
  try {
    return { what, ok: true, found: await look() };
  } catch (thrown) {
    const error = explained(thrown);
    if (!(error instanceof PorchlightError)) throw error;
    const hint = error.hint === undefined ? "" : `; ${error.hint}`;
    return { what, ok: false, found: `${messageOf(error)}${hint}` };
  }
}

function cameras({ environment }: Invocation): string {
  const path = environment["PATH"] ?? "";
  const devices = existsSync("/dev")
    ? readdirSync("/dev").filter((name) => /^video\d+$/.test(name))
    : [];
  const programs = [...LIBCAMERA_PROGRAMS, "gst-launch-1.0", "ffmpeg"].filter(
    (program) => findProgram(program, path) !== null,
  );
  const seen = devices.length === 0 ? "no /dev/video*" : devices.map((d) => `/dev/${d}`).join(", ");
  return `${seen}; programs: ${programs.join(", ") || "none"}`;
}

function key(name: "log-key" | "vault-key", { config, environment }: Invocation): string {
  const sources = keySources(name, config(), environment);
  readKey(name, sources);
  return keyPath(name, sources);
}

/** One frame of the configured camera, and how large the faces in it are. */
async function currentFrame(invocation: Invocation, vision: Vision): Promise<string> {
  const image = await decodeImage(await grab(invocation), {
    maxSidePx: invocation.config().recognition.maxSidePx,
  });
  const faces = await vision.detect(image);
  const widths = faces.map(({ quality }) => {
    const reasons = quality.usable ? "" : ` (${quality.reasons.join(", ")})`;
    return `${Math.round(quality.widthPx)} px${reasons}`;
  });
  const size = `${image.width} × ${image.height}`;
  const seen = widths.length === 0 ? "no face in it" : `faces: ${widths.join(", ")}`;
  const better = await betterTurn(image, faces, vision);
  if (better === null) return `${size}; ${seen}`;
  const turned = (configuredCamera(invocation).rotationDegrees + better) % 360;
  const setting = `set camera.rotationDegrees: ${turned}`;
  if (faces.length > 0) return `${size}; ${seen}; surer when turned by ${better}°: ${setting}`;
  throw new PorchlightError("camera.turned", `${size}; faces appear when turned by ${better}°`, {
    hint: setting,
  });
}

/** Detectors find faces upside down too, and are mostly less sure of them: by more than this. */
const TURN_GAIN = 0.05;

/** By how much the frame is to be turned for better faces in it; null where it need not be. */
async function betterTurn(
  image: RgbImage,
  faces: readonly Face[],
  vision: Vision,
): Promise<number | null> {
  const now = surest(faces);
  let best = { degrees: 0, score: now };
  for (const rotationDegrees of [90, 180, 270] as const) {
    const turned = await turn(image, { mirrored: false, rotationDegrees });
    const score = surest(await vision.detect(turned));
    if (score > best.score) best = { degrees: rotationDegrees, score };
  }
  return best.score > now + TURN_GAIN ? best.degrees : null;
}

function surest(faces: readonly Face[]): number {
  return Math.max(0, ...faces.map(({ score }) => score));
}

async function grab(invocation: Invocation): Promise<Buffer> {
  const camera = configuredCamera(invocation);
  const running = (await daemonCamera(invocation.config())) !== null;
  if (camera.kind === "libcamera" && !running) {
    const still = await libcameraStill(camera);
    return (await mountOf(camera)?.(still)) ?? still;
  }
  for await (const image of cameraFrames(invocation)) return image;
  throw new PorchlightError("camera.silent", `${camera.name} gave no frame`, {
    hint: "see why: porchlight start",
  });
}

async function packs({ config }: Invocation): Promise<string> {
  const here = (await listPacks(modelsFolder(config()))).filter(
    ({ folder }) => folder !== undefined,
  );
  return here.map(({ name, version }) => `${name}@${version}`).join(", ") || "none";
}

async function thresholds({ config }: Invocation): Promise<string> {
  const [problem] = await packThresholdProblems(config());
  if (problem !== undefined) {
    throw new PorchlightError("config.thresholds", problem, {
      hint: "see all of it: porchlight config check",
    });
  }
  const { match } = config().recognition;
  return match === undefined ? "the pack's own" : "set for this pack";
}

function button({ config }: Invocation): string {
  const configured = config().button;
  if (configured === undefined) return "none is configured";
  closeSync(openButton(configured.device));
  return `${configured.name}: ${configured.device}`;
}

function clock({ config }: Invocation): string {
  const state = clockState(config().clock, systemClock.now());
  return `${state}, ${new Date(systemClock.now()).toISOString()}`;
}

export const doctor: Verb = verb({
  name: "doctor",
  summary: "what this machine has, and what is missing",
  options: {},
  example: "porchlight doctor --config porchlight.yaml",
  operands: NO_OPERANDS,
  async run(invocation) {
    const { config, terminal, runtime } = invocation;
    const findings = [
      await check("Node.js", () => runtimeWords(runtime)),
      await check("cameras", () => cameras(invocation)),
      await check("button", () => button(invocation)),
      await check("models", () => packs(invocation)),
      await check("thresholds", () => thresholds(invocation)),
      await check("log key", () => key("log-key", invocation)),
      await check("vault key", () => key("vault-key", invocation)),
      await check("clock", () => clock(invocation)),
      await check("store", () => `${invocation.store().log.head().seq} entries`),
    ];
    let vision: Vision | undefined;
    findings.push(
      await check("model pack", async () => {
        vision = await openVision({ ...visionOptions(config()), logger: silentLogger });
        return `${vision.pack.id} on ${vision.provider}`;
      }),
    );
    const seeing = vision;
    if (seeing !== undefined) {
      findings.push(await check("frame", () => currentFrame(invocation, seeing)));
      await seeing.close();
    }
    const rows = findings.map(({ what, ok, found }) => [ok ? "ok" : "MISSING", what, found]);
    terminal.data(findings, table(["", "", ""], rows).trimStart());
    return findings.every(({ ok }) => ok) ? EXIT.ok : EXIT.failed;
  },
});
