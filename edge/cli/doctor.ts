import { closeSync, existsSync, readdirSync } from "node:fs";
import { table } from "../../shared/cli/terminal.ts";
import { NO_OPERANDS } from "../../shared/cli/verb.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { EXIT, messageOf, PorchlightError } from "../../shared/core/errors.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import { runtimeWords } from "../../shared/core/own-runtime.ts";
import { LIBCAMERA_PROGRAMS, libcameraStill } from "../camera/libcamera.ts";
import { findProgram, openCamera } from "../camera/open-camera.ts";
import { visionOptions } from "../config/options.ts";
import { keySources, modelsFolder } from "../config/paths.ts";
import { openButton } from "../doorbell/button.ts";
import { clockState } from "../host/clock-state.ts";
import { keyPath, readKey } from "../host/key-file.ts";
import { decodeImage } from "../vision/image.ts";
import { listPacks } from "../vision/packs/models.ts";
import { openVision, type Vision } from "../vision/vision.ts";
import { packThresholdProblems } from "./pack-thresholds.ts";
import { type Invocation, type Verb, verb } from "./verb.ts";

interface Finding {
  readonly what: string;
  readonly ok: boolean;
  readonly found: string;
}

/** A camera that gives nothing for this long is not working. */
const FRAME_TIMEOUT_MS = 15_000;

async function check(what: string, look: () => string | Promise<string>): Promise<Finding> {
  try {
    return { what, ok: true, found: await look() };
  } catch (error) {
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
  return `${size}; ${widths.length === 0 ? "no face in it" : `faces: ${widths.join(", ")}`}`;
}

async function grab({ config, signal, environment }: Invocation): Promise<Buffer> {
  const { camera } = config();
  if (camera === undefined) {
    throw new PorchlightError("config.camera.missing", "none is configured", {
      hint: "add one under `camera:`, see porchlight config schema",
    });
  }
  if (camera.kind === "libcamera") return await libcameraStill(camera);
  const path = environment["PATH"] ?? "";
  const limit = AbortSignal.any([signal, AbortSignal.timeout(FRAME_TIMEOUT_MS)]);
  const parts = { clock: systemClock, logger: silentLogger, random: Math.random };
  for await (const frame of openCamera(camera, { ...parts, path, signal: limit })) {
    return frame.image;
  }
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
