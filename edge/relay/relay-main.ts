import { parseArgs } from "node:util";
import { systemClock } from "../../shared/core/clock.ts";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import { streamCamera } from "../camera/stream.ts";
import { createProcessLogger } from "../host/process-logger.ts";
import { createNotifier } from "../host/sd-notify.ts";
import { readSecret } from "../host/secret-file.ts";
import { onStopAsked } from "../host/signals.ts";
import { networkSource, networkSourceSchema, parseCameraUrl } from "./network-source.ts";
import { relayFrames } from "./relay.ts";

const USAGE =
  "usage: porchlight-camera --socket PATH [--frames-per-second 10] [--width 1280] [--copy]\n" +
  "The camera's URL is read from $CREDENTIALS_DIRECTORY/camera-url or $PORCHLIGHT_CAMERA_URL_FILE.";
/** ffmpeg takes some seconds to find out what a camera sends. */
const STALL_MS = 20_000;

const environment = process.env;
const logger = createProcessLogger(() => "info");

/** Never an argument: every user of the machine can read those. */
function readUrl(): URL {
  const name = {
    credential: "camera-url",
    code: "camera.url",
    missing: "no camera URL",
    hint: "store it for the unit: porchlight install --camera NAME < file-with-the-url",
  };
  const content = readSecret(name, {
    credentialsDirectory: environment["CREDENTIALS_DIRECTORY"],
    environmentFile: environment["PORCHLIGHT_CAMERA_URL_FILE"],
  });
  return parseCameraUrl(content.toString("utf8"));
}

function readArguments() {
  const { values } = parseArgs({
    options: {
      socket: { type: "string" },
      "frames-per-second": { type: "string", default: "10" },
      width: { type: "string", default: "1280" },
      copy: { type: "boolean", default: false },
    },
  });
  const options = networkSourceSchema.safeParse({
    copy: values.copy,
    framesPerSecond: Number(values["frames-per-second"]),
    widthPx: Number(values.width),
  });
  if (values.socket !== undefined && options.success) {
    return { socketPath: values.socket, options: options.data };
  }
  throw new PorchlightError("cli.usage", "wrong arguments", { exitCode: EXIT.usage, hint: USAGE });
}

async function run(): Promise<void> {
  const { socketPath, options } = readArguments();
  const stop = new AbortController();
  onStopAsked(() => stop.abort());
  const { monotonicMs } = systemClock;
  const notifier = createNotifier({ environment, monotonicMs, logger });
  const camera = streamCamera(
    { name: "network", start: networkSource(readUrl(), options), stallMs: STALL_MS },
    { clock: systemClock, logger, random: Math.random, signal: stop.signal },
  );
  await relayFrames({
    frames: camera,
    socketPath,
    listening() {
      notifier.ready();
      logger.info("relaying", { socket: socketPath });
    },
  });
  notifier.stopping();
  await notifier.close();
}

try {
  await run();
} catch (error) {
  const misused = error instanceof TypeError && "code" in error;
  if (!(error instanceof PorchlightError) && !misused) throw error;
  const known = error instanceof PorchlightError ? error : null;
  logger.error(error.message, { code: known?.code ?? "cli.usage", hint: known?.hint ?? USAGE });
  process.exitCode = known?.exitCode ?? EXIT.usage;
}
