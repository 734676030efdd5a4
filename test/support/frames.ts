import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Box, RgbImage } from "../../edge/vision/face.ts";
import { decodeImage, resize } from "../../edge/vision/image.ts";
import { crop } from "../../edge/vision/resample.ts";
import { BUNDLED_PHOTOS } from "./people.ts";

/** A photo, of three people by default, cut to the frame's shape and scaled to it. */
export async function frameOf(
  width: number,
  height: number,
  name = "sample1.jpg",
): Promise<RgbImage> {
  const photo = await decodeImage(readFileSync(join(BUNDLED_PHOTOS, name)));
  const tall = Math.round((photo.width * height) / width);
  const [across, down] =
    tall <= photo.height
      ? [photo.width, tall]
      : [Math.round((photo.height * width) / height), photo.height];
  const [x, y] = [(photo.width - across) / 2, (photo.height - down) / 2];
  return await resize(crop(photo, { x, y, width: across, height: down }), width, height);
}

/** What a doorbell mostly sees: one of the people of a photo, and what is around the face. */
export async function portraitOf(
  width: number,
  height: number,
  { box }: { readonly box: Box },
  name: string,
): Promise<RgbImage> {
  const photo = await decodeImage(readFileSync(join(BUNDLED_PHOTOS, name)));
  const across = Math.max(box.width, box.height) * PORTRAIT_WIDTH;
  const down = (across * height) / width;
  const [x, y] = [box.x + (box.width - across) / 2, box.y + (box.height - down) / 2];
  const part = crop(photo, { x, y, width: across, height: down });
  return await resize(part, width, height);
}

/** In widths of the face: the people beside it are not in it. */
const PORTRAIT_WIDTH = 2;

export interface Peer {
  /** Its name and version, as it says them. */
  readonly name: string;
  /** Lets it look at its frame once; the number of faces. */
  look(): Promise<number>;
  close(): void;
}

/** Starts a program that looks at its frame at each line it is sent, and answers with a line. */
export async function startPeer(program: string, args: readonly string[]): Promise<Peer> {
  const child: ChildProcess = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error("the peer has no pipes");
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done === true) throw new Error(`${program} ended`);
    return value;
  };
  const name = await next();
  return {
    name,
    async look() {
      stdin.write("\n");
      return Number(await next());
    },
    close: () => void child.kill(),
  };
}
