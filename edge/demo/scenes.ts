/** Composes what a doorbell would see: somebody comes nearer in a wide frame, in changing light. */
import type { RgbImage } from "../vision/face.ts";
import { blank, blur, brighten, compose, encodeJpeg, resize } from "../vision/image.ts";

export interface Scene {
  /** JPEG frames, 1280 × 720. */
  readonly frames: readonly Buffer[];
}

const WIDTH = 1280;
const HEIGHT = 720;
/** Frames somebody is seen in. */
const PRESENT_FRAMES = 6;
/** Height of the person's cut-out in the first and the last frame, px: they come nearer. */
const FAR_PX = 210;
const NEAR_PX = 330;
/** Light of the frames of one visit, from shade to sun: never that of the enrolled photo. */
const LIGHT = [0.7, 0.78, 0.86, 0.92, 1.08, 1.15];
/** Softness of focus, px. */
const BLUR_SIGMA = [1.1, 0.9, 0.8, 0.7, 0.6, 0.8];

const PORCH = `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}">
<defs><linearGradient id="sky" x1="0" y1="0" x2="0" y2="1">
<stop offset="0" stop-color="#9db2c4"/><stop offset="1" stop-color="#c8c4b6"/></linearGradient></defs>
<rect width="${WIDTH}" height="${HEIGHT}" fill="url(#sky)"/>
<rect y="520" width="${WIDTH}" height="200" fill="#8b8577"/>
<rect x="60" y="80" width="150" height="440" fill="#6f7f6a"/>
<rect x="1060" y="120" width="170" height="400" fill="#7a6a58"/>
<path d="M560 520 L720 520 L900 720 L380 720 Z" fill="#a59d8c"/></svg>`;

/** An empty porch: between visits nobody is there. */
export async function emptyPorch(): Promise<RgbImage> {
  const paper = blank(WIDTH, HEIGHT);
  return await blur(await compose(paper, [{ content: { svg: PORCH }, x: 0, y: 0 }]), 3);
}

/** One visit: the person of these looks walks up; every frame is resampled, lit and blurred anew. */
export async function composeVisit(
  porch: RgbImage,
  looks: readonly RgbImage[],
  place: number,
): Promise<Scene> {
  const frames: Buffer[] = [];
  for (let i = 0; i < PRESENT_FRAMES; i++) {
    const look = looks[i % looks.length];
    if (look === undefined) break;
    const nearness = i / (PRESENT_FRAMES - 1);
    const height = Math.round(FAR_PX + (NEAR_PX - FAR_PX) * nearness);
    const width = Math.round((look.width * height) / look.height);
    const person = await resize(look, width, height);
    const x = Math.round((WIDTH - width) * (0.2 + 0.6 * place) + 12 * i);
    const y = Math.round((HEIGHT - height) * (0.45 - 0.1 * nearness));
    const seen = await compose(porch, [{ content: person, x: Math.min(x, WIDTH - width), y }]);
    const lit = await brighten(seen, LIGHT[i % LIGHT.length] ?? 1);
    frames.push(await encodeJpeg(await blur(lit, BLUR_SIGMA[i % BLUR_SIGMA.length] ?? 1)));
  }
  return { frames };
}
