/** Objects in S3, or in whatever speaks it: the only home of the AWS SDK. */
import { Readable } from "node:stream";
import { rootCertificates } from "node:tls";
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { invariant, messageOf, PorchlightError, systemCodeOf } from "../../shared/core/errors.ts";
import {
  checkedKey,
  type ObjectHead,
  type ObjectStore,
  type UploadGrant,
  type UploadWish,
} from "./object-store.ts";

export interface S3Options {
  readonly endpoint: string;
  /** The same server as devices reach it: grants are signed for this host. Default: `endpoint`. */
  readonly publicEndpoint?: string | undefined;
  /** PEM of the authority behind its certificate, beside those that this program knows. */
  readonly ca?: string | undefined;
  /** Told when the server's clock is found to be so many seconds ahead, or behind where negative. */
  readonly skewed?: ((serverAheadS: number) => void) | undefined;
  /** Of this machine, ms since the epoch. Default: the system's. */
  readonly now?: () => number;
  readonly bucket: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** `host/bucket/key` instead of `bucket.host/key`: most servers but Amazon's want it. */
  readonly forcePathStyle: boolean;
}

const ATTEMPTS_MAX = 3;
const CONNECT_TIMEOUT_MS = 5_000;
const ANSWER_TIMEOUT_MS = 60_000;
const SOCKETS_MAX = 50;
/** The header counts whole seconds, and an answer is under way for some. */
const SKEW_MIN_MS = 5_000;
/** A grant lives for five minutes: a clock that is wrong by one is worth a word. */
const SKEW_TOLD_MS = 60_000;
const CHECKSUM = "x-amz-checksum-sha256";

export function createS3Store(options: S3Options): ObjectStore {
  const { endpoint, bucket, now = Date.now } = options;
  const place = `${new URL(endpoint).host}/${bucket}`;
  const skew = { ms: 0 };
  const client = clientOf(options, endpoint, skew);
  const presigning = clientOf(options, options.publicEndpoint ?? endpoint, skew);
  const asked = <T>(work: () => Promise<T>): Promise<T> => translated(place, work);
  return {
    place,
    open: () =>
      asked(async () => {
        const found = await orNull(() => client.send(new HeadBucketCommand({ Bucket: bucket })));
        if (found === null) await client.send(new CreateBucketCommand({ Bucket: bucket }));
      }),
    put: (key, content) =>
      asked(async () => {
        const object = { Bucket: bucket, Key: checkedKey(key), Body: content };
        await client.send(new PutObjectCommand({ ...object, ContentLength: content.length }));
      }),
    get: (key) =>
      asked(async () => {
        const object = { Bucket: bucket, Key: checkedKey(key) };
        const found = await orNull(() => client.send(new GetObjectCommand(object)));
        if (found === null) return null;
        invariant(found.Body instanceof Readable, "in Node an object is a stream");
        return found.Body;
      }),
    head: (key) =>
      asked(async () => {
        const object = { Bucket: bucket, Key: checkedKey(key) };
        const found = await orNull(() => client.send(new HeadObjectCommand(object)));
        return found === null ? null : { key, bytes: found.ContentLength ?? 0 };
      }),
    delete: (key) =>
      asked(async () => {
        const object = { Bucket: bucket, Key: checkedKey(key) };
        await orNull(() => client.send(new DeleteObjectCommand(object)));
      }),
    list: (prefix) => list(client, bucket, prefix, asked),
    grantPut: (wish) => asked(() => grant(presigning, { bucket, nowMs: now() + skew.ms }, wish)),
    close() {
      client.destroy();
      presigning.destroy();
    },
  };
}

function clientOf(options: S3Options, endpoint: string, skew: { ms: number }): S3Client {
  const { region, accessKeyId, secretAccessKey, forcePathStyle, ca, skewed } = options;
  const { now = Date.now } = options;
  const client = new S3Client({
    endpoint,
    region,
    forcePathStyle,
    credentials: { accessKeyId, secretAccessKey },
    maxAttempts: ATTEMPTS_MAX,
    // Else the presigner adds a checksum of nothing, and older servers refuse ours.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: ANSWER_TIMEOUT_MS,
      ...(ca !== undefined && {
        httpsAgent: { ca: [...rootCertificates, ca], keepAlive: true, maxSockets: SOCKETS_MAX },
      }),
    },
  });
  client.middlewareStack.add(
    (next) => async (request) => {
      const sentMs = now();
      const answer = await next(request);
      const { response } = answer as { response: { headers?: Record<string, string> } };
      const serverMs = Date.parse(response.headers?.["date"] ?? "");
      if (Number.isNaN(serverMs)) return answer;
      // In whole seconds, as the header is.
      const ms = Math.round((serverMs - (sentMs + now()) / 2) / 1_000) * 1_000;
      if (Math.abs(ms) >= SKEW_TOLD_MS && Math.abs(ms - skew.ms) >= SKEW_TOLD_MS) {
        skewed?.(ms / 1_000);
      }
      skew.ms = Math.abs(ms) >= SKEW_MIN_MS ? ms : 0;
      return answer;
    },
    { step: "deserialize", priority: "low", name: "porchlightClock" },
  );
  return client;
}

async function* list(
  client: S3Client,
  bucket: string,
  prefix: string,
  asked: <T>(work: () => Promise<T>) => Promise<T>,
): AsyncGenerator<ObjectHead> {
  let token: string | undefined;
  do {
    const from = { Bucket: bucket, Prefix: prefix, ContinuationToken: token };
    const page = await asked(() => client.send(new ListObjectsV2Command(from)));
    for (const { Key: key, Size: bytes = 0 } of page.Contents ?? []) {
      if (key !== undefined) yield { key, bytes };
    }
    token = page.NextContinuationToken;
  } while (token !== undefined);
}

/**
 * A PUT of these bytes alone, once. The presigner would move the checksum into the query, where no
 * server looks at it: as signed headers, length, checksum and "only if there is none" are enforced.
 */
async function grant(
  client: S3Client,
  { bucket, nowMs }: { readonly bucket: string; readonly nowMs: number },
  wish: UploadWish,
): Promise<UploadGrant> {
  const { key, sha256, bytes, expiresInS } = wish;
  const checksum = Buffer.from(sha256, "hex").toString("base64");
  const command = new PutObjectCommand({
    Bucket: bucket,
    Key: checkedKey(key),
    ChecksumSHA256: checksum,
    ContentLength: bytes,
    IfNoneMatch: "*",
  });
  const url = await getSignedUrl(client, command, {
    expiresIn: expiresInS,
    // By the clock of who will check it.
    signingDate: new Date(nowMs),
    unhoistableHeaders: new Set([CHECKSUM, "if-none-match"]),
    signableHeaders: new Set(["host", "content-length", CHECKSUM, "if-none-match"]),
  });
  const headers = { "content-length": String(bytes), "if-none-match": "*", [CHECKSUM]: checksum };
  return { url, headers };
}

async function orNull<T>(work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (statusOf(error) === 404) return null;
    throw error;
  }
}

function statusOf(error: unknown): number | undefined {
  return error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
}

async function translated<T>(place: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof PorchlightError) throw error;
    const status = statusOf(error);
    if (status === 401 || status === 403) {
      throw new PorchlightError(
        "objects.denied",
        `the object store ${place} denied access (${status})`,
        {
          hint: "check objects.accessKeyId and objects.secretAccessKey: porchlight-cloud config check",
          cause: error,
        },
      );
    }
    if (status !== undefined && status < 500 && status !== 429) {
      const name = error instanceof Error ? error.name : "unknown";
      throw new PorchlightError(
        "objects.refused",
        `${place} refused a request (${status} ${name})`,
        {
          hint: "check objects.bucket and objects.region: porchlight-cloud config check",
          cause: error,
        },
      );
    }
    const reason = systemCodeOf(error) ?? messageOf(error);
    throw new PorchlightError(
      "objects.unreachable",
      `the object store ${place} does not answer: ${reason}`,
      { remedy: "retry", hint: unreachableHint(reason), cause: error },
    );
  }
}

function unreachableHint(reason: string): string {
  return /CERT|SIGNED|VERIFY|TLS|SSL/i.test(reason)
    ? "name the authority behind its certificate with objects.ca, and check this machine's clock"
    : "see whether it runs there: porchlight-cloud config check names the address";
}
