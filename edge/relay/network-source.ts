/** A network camera through ffmpeg, so that its password is in no process list and in no log. */
import { z } from "zod";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import { mjpegArgs } from "../camera/ffmpeg.ts";
import { processSource, type StartSource } from "../camera/source.ts";

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

/**
 * ffmpeg takes a URL as an argument, which every user of the machine can read in /proc. So it is
 * given the URL on stdin instead, as a concat script of one line (ffmpeg-formats(1), "concat").
 */
export function networkSource(url: URL, options: NetworkSource): StartSource {
  const input = ["-f", "concat", "-safe", "0", "-protocol_whitelist", PROTOCOLS, "-i", "pipe:0"];
  const codec = options.copy ? "copy" : "mjpeg";
  const shape = [`fps=${options.framesPerSecond}`, `scale='min(${options.widthPx},iw)':-2`];
  const filter = options.copy ? [] : ["-vf", shape.join(",")];
  return processSource("ffmpeg", mjpegArgs([...input, ...filter], codec), concatScript(url));
}

function concatScript(url: URL): string {
  const tcp = url.protocol.startsWith("rtsp") ? "option rtsp_transport tcp\n" : "";
  return `ffconcat version 1.0\nfile '${url.href.replaceAll("'", "%27")}'\n${tcp}`;
}
