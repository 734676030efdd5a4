/** A network camera through ffmpeg, so that its password is in no process list and in no log. */
import { z } from "zod";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import { mjpegArgs } from "../camera/ffmpeg.ts";
import { createMjpegSplitter } from "../camera/mjpeg.ts";
import { processSource, type RunningSource, type StartSource } from "../camera/source.ts";

export const networkSourceSchema = z.strictObject({
  /** MJPEG cameras are copied as they are; all else is decoded and encoded again. */
  copy: z.boolean(),
  framesPerSecond: z.number().min(0.1).max(60),
  widthPx: z.int().min(160).max(4096),
});
export type NetworkSource = z.infer<typeof networkSourceSchema>;

const SCHEMES = ["rtsp:", "rtsps:", "http:", "https:"];
/** Nothing but the network: a URL, or a playlist behind it, opens no file of this machine. */
const PROTOCOLS = "pipe,rtsp,rtsps,rtp,udp,tcp,tls,http,https";

/** Throws `camera.url`; its words never repeat the URL. */
export function parseCameraUrl(text: string): URL {
  const url = URL.canParse(text.trim()) ? new URL(text.trim()) : null;
  if (url !== null && SCHEMES.includes(url.protocol) && url.hostname !== "") return url;
  throw new PorchlightError("camera.url", "the camera's URL is none that can be read", {
    exitCode: EXIT.config,
    hint: "it looks like rtsp://user:password@192.168.1.20/stream, in a file only its owner reads",
  });
}

/** How long one script of a still picture's address lasts; then the next one begins. */
const STILL_SCRIPT_S = 3_600;
/** A run that ends by itself with fewer frames was no stream. */
const STREAM_FRAMES_MIN = 2;

/**
 * ffmpeg takes a URL as an argument, which every user of the machine can read in /proc. So it is
 * given the URL on stdin instead, as a concat script (ffmpeg-formats(1), "concat"). An address that
 * turns out to give one picture, and not a stream, is asked for the next one at the frame rate.
 */
export function networkSource(url: URL, options: NetworkSource): StartSource {
  let still = false;
  return (events) => {
    const start = (): RunningSource => {
      const splitter = createMjpegSplitter();
      let frames = 0;
      const source = still ? stillSource(url, options) : streamSource(url, options);
      return source({
        data(chunk) {
          if (frames < STREAM_FRAMES_MIN) frames += splitter.push(chunk).length;
          events.data(chunk);
        },
        closed(reason) {
          const ended = reason.startsWith("ffmpeg ended (0)");
          if (!stopped && ended && still && frames > 0) running = start();
          else if (
            ended &&
            !still &&
            frames < STREAM_FRAMES_MIN &&
            url.protocol.startsWith("http")
          ) {
            still = true;
            events.closed("this address gives one picture, not a stream: it is polled from now on");
          } else events.closed(reason);
        },
      });
    };
    let stopped = false;
    let running = start();
    return {
      async stop() {
        stopped = true;
        await running.stop();
      },
    };
  };
}

const SCRIPT_INPUT = [
  "-f",
  "concat",
  "-safe",
  "0",
  "-protocol_whitelist",
  PROTOCOLS,
  "-i",
  "pipe:0",
];

function streamSource(url: URL, { copy, framesPerSecond, widthPx }: NetworkSource): StartSource {
  const filter = copy ? [] : ["-vf", `fps=${framesPerSecond},${scaleTo(widthPx)}`];
  const tcp = url.protocol.startsWith("rtsp") ? "option rtsp_transport tcp\n" : "";
  const args = mjpegArgs([...SCRIPT_INPUT, ...filter], copy ? "copy" : "mjpeg");
  return processSource("ffmpeg", args, `${SCRIPT_HEAD}${fileLine(url)}${tcp}`);
}

/** The same address again and again, each picture as long as a frame, in real time (-re). */
function stillSource(url: URL, { copy, framesPerSecond, widthPx }: NetworkSource): StartSource {
  const filter = copy ? [] : ["-vf", scaleTo(widthPx), "-vsync", "passthrough"];
  const args = mjpegArgs(["-re", ...SCRIPT_INPUT, ...filter], copy ? "copy" : "mjpeg");
  const picture = `${fileLine(url)}duration ${1 / framesPerSecond}\n`;
  const count = Math.max(STREAM_FRAMES_MIN, Math.ceil(framesPerSecond * STILL_SCRIPT_S));
  return processSource("ffmpeg", args, SCRIPT_HEAD + picture.repeat(count));
}

const SCRIPT_HEAD = "ffconcat version 1.0\n";

function fileLine(url: URL): string {
  return `file '${url.href.replaceAll("'", "%27")}'\n`;
}

function scaleTo(widthPx: number): string {
  return `scale='min(${widthPx},iw)':-2`;
}
