import { type FileHandle, open, rm, stat } from "node:fs/promises";
import { messageOf, PorchlightError, systemCodeOf } from "../../../shared/core/errors.ts";
import { backoffMs, pause } from "../../../shared/core/retry.ts";
import { digestOfFile } from "../pack.ts";

/** A file of which everything is known but its bytes. */
export interface Wanted {
  /** The pack it belongs to, for the hint of an error. */
  readonly pack: string;
  readonly file: string;
  readonly bytes: number;
  readonly digest: Digest;
}

export interface Digest {
  readonly algorithm: "sha256" | "sha512";
  readonly hex: string;
}

export interface DownloadOptions {
  readonly signal: AbortSignal;
  /** Even in [0, 1), for the waits between tries. */
  readonly random: () => number;
  /** Called with the bytes that are here. */
  readonly progress?: (bytesDone: number) => void;
  /** Idle timeout of a connection. */
  readonly stallMs?: number;
  /** The longest first wait before another try; it doubles with every try. */
  readonly firstRetryMs?: number;
}

/** A mobile network hands over between cells in a few seconds; half a minute is a dead one. */
const STALL_MS = 30_000;
const FIRST_RETRY_MS = 1_000;
const RETRY_MS_MAX = 15_000;
/** Tries in a row that brought not one byte. */
const TRIES_MAX = 5;
/** And in all, for servers that send a little and take it back. */
const CONNECTIONS_MAX = 100;

/** The result of one connection: the file is complete, or why not, and whether to retry. */
type Attempt = { readonly done: true } | { readonly done: false; readonly reason: unknown };

/**
 * Downloads a file to `path`, going on where an earlier download stopped (RFC 9110, section 14).
 * When this returns, the file has the size and digest it should have; when what comes is another
 * file, nothing is left at `path`; when the connection fails for good, what came is kept.
 */
export async function download(
  url: URL,
  path: string,
  wanted: Wanted,
  options: DownloadOptions,
): Promise<void> {
  const { signal, random, firstRetryMs = FIRST_RETRY_MS } = options;
  const foundBytes = await sizeOf(path);
  let failures = 0;
  let before = foundBytes;
  for (let connections = 1; ; connections++) {
    const attempt = await connect(url, path, wanted, options);
    if (signal.aborted) throw stopped(wanted);
    if (attempt.done) break;
    const now = await sizeOf(path);
    failures = now > before ? 0 : failures + 1;
    before = now;
    if (failures >= TRIES_MAX || connections >= CONNECTIONS_MAX) {
      throw unreachable(url, wanted, attempt.reason);
    }
    const waitMs = backoffMs(failures, { firstMs: firstRetryMs, maxMs: RETRY_MS_MAX, random });
    await pause(waitMs, signal);
    if (signal.aborted) throw stopped(wanted);
  }
  const { algorithm } = wanted.digest;
  const hex = await digestOfFile(path, algorithm);
  if (hex === wanted.digest.hex) return;
  await rm(path, { force: true });
  // The part from before may have been of another file: once more, all from this server.
  if (foundBytes > 0) return await download(url, path, wanted, options);
  throw wrongFile(wanted, `has ${algorithm} ${hex}`);
}

/** The error for a file that is not the one the manifest pins. */
export function wrongFile({ pack, file, bytes, digest }: Wanted, what: string): PorchlightError {
  return new PorchlightError(
    "model.download.wrong",
    `${file} ${what}; ${bytes} bytes with ${digest.algorithm} ${digest.hex} are wanted, so it was not used`,
    {
      remedy: "reject",
      hint: `get it from somewhere else: porchlight models pull ${pack} --from FOLDER_OR_URL`,
    },
  );
}

/** One request, from where the file on disk ends. Throws what another try cannot mend. */
async function connect(
  url: URL,
  path: string,
  wanted: Wanted,
  options: DownloadOptions,
): Promise<Attempt> {
  const { signal, stallMs = STALL_MS } = options;
  let start = await sizeOf(path);
  if (start === wanted.bytes) return { done: true };
  if (start > wanted.bytes) {
    await rm(path, { force: true });
    start = 0;
  }
  const watch = stallWatch(stallMs);
  try {
    const response = await fetch(url, {
      // Compressed bytes could be neither counted nor gone on with.
      headers: { "accept-encoding": "identity", ...(start > 0 && { range: `bytes=${start}-` }) },
      signal: AbortSignal.any([signal, watch.signal]),
    });
    const from = await placeOf(response, { url, path, wanted, start });
    if (typeof from !== "number") return from;
    await save(response, path, { wanted, from, watch, options });
    const complete = (await sizeOf(path)) === wanted.bytes;
    return complete ? { done: true } : { done: false, reason: "the connection was cut" };
  } catch (error) {
    if (error instanceof PorchlightError || systemCodeOf(error) !== undefined) throw error;
    return { done: false, reason: watch.signal.aborted ? "nothing came any more" : error };
  } finally {
    watch.end();
  }
}

interface Place {
  readonly url: URL;
  readonly path: string;
  readonly wanted: Wanted;
  /** Where the request asked the answer to begin. */
  readonly start: number;
}

/** Where in the file the body of the answer begins, or why there is none of use. */
async function placeOf(
  response: Response,
  { url, path, wanted, start }: Place,
): Promise<number | Attempt> {
  const { status } = response;
  if (status === 416) {
    // The server knows a shorter file: what is here is not of it.
    await response.body?.cancel();
    await rm(path, { force: true });
    return { done: false, reason: "the server does not have the rest" };
  }
  if (status === 408 || status === 429 || status >= 500) {
    await response.body?.cancel();
    return { done: false, reason: `the server answered ${status}` };
  }
  if (status !== 200 && status !== 206) {
    await response.body?.cancel();
    throw notThere(url, wanted, status);
  }
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get("content-range") ?? "");
  const from = status === 206 ? Number(range?.[1] ?? Number.NaN) : 0;
  if (from !== 0 && from !== start) {
    await response.body?.cancel();
    await rm(path, { force: true });
    return { done: false, reason: "the server sent another part than was asked for" };
  }
  const declared = status === 206 ? range?.[2] : response.headers.get("content-length");
  if (declared && declared !== "*" && Number(declared) !== wanted.bytes) {
    await response.body?.cancel();
    await rm(path, { force: true });
    throw wrongFile(wanted, `has ${declared} bytes there`);
  }
  return from;
}

interface Saving {
  readonly wanted: Wanted;
  readonly from: number;
  readonly watch: StallWatch;
  readonly options: DownloadOptions;
}

/** Writes the body behind what is there, and never more than the file may have. */
async function save(
  response: Response,
  path: string,
  { wanted, from, watch, options: { progress } }: Saving,
): Promise<void> {
  if (!response.body) return;
  const handle: FileHandle = await open(path, from === 0 ? "w" : "r+", 0o644);
  let at = from;
  try {
    for await (const chunk of response.body) {
      watch.alive();
      if (at + chunk.byteLength > wanted.bytes) {
        await rm(path, { force: true });
        throw wrongFile(wanted, "does not end where it should");
      }
      await handle.write(chunk, 0, chunk.byteLength, at);
      at += chunk.byteLength;
      progress?.(at);
    }
  } finally {
    await handle.close();
  }
}

interface StallWatch {
  readonly signal: AbortSignal;
  alive(): void;
  end(): void;
}

function stallWatch(stallMs: number): StallWatch {
  const stalled = new AbortController();
  const timer = setTimeout(() => stalled.abort(), stallMs);
  return {
    signal: stalled.signal,
    alive: () => void timer.refresh(),
    end: () => clearTimeout(timer),
  };
}

async function sizeOf(path: string): Promise<number> {
  return await stat(path).then(
    ({ size }) => size,
    (error: unknown) => {
      if (systemCodeOf(error) === "ENOENT") return 0;
      throw error;
    },
  );
}

function notThere(url: URL, { pack, file }: Wanted, status: number): PorchlightError {
  return new PorchlightError(
    "model.download.missing",
    `${url.host} answered ${status} for ${file}`,
    {
      hint: `get it from a mirror: porchlight models pull ${pack} --from FOLDER_OR_URL`,
    },
  );
}

function unreachable(url: URL, { file }: Wanted, reason: unknown): PorchlightError {
  const cause = reason instanceof Error ? (reason.cause ?? reason) : reason;
  return new PorchlightError(
    "model.download.unreachable",
    `${file} could not be downloaded from ${url.host}: ${messageOf(cause)}`,
    {
      remedy: "retry",
      hint: "run the same command again, it resumes where it stopped; or use --from FOLDER_OR_URL",
      cause: reason,
    },
  );
}

function stopped({ file }: Wanted): PorchlightError {
  return new PorchlightError(
    "model.download.stopped",
    `stopped while ${file} was being downloaded`,
    {
      remedy: "retry",
      hint: "run the same command again: it resumes where it stopped",
    },
  );
}
