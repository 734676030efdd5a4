/** InfluxDB over HTTP: what its three versions have in common, and where they differ. */
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { z } from "zod";
import { messageOf, PorchlightError, systemCodeOf } from "../../../shared/core/errors.ts";
import { StoreBusy } from "../sink.ts";
import { type Answer, createRequest, isGood } from "./request.ts";

export interface InfluxServer {
  readonly url: string;
  /** Of its API: 1 is also spoken by VictoriaMetrics and others, 2 as well. */
  readonly version: 1 | 2 | 3;
  /** Versions 1 and 3. */
  readonly database?: string | undefined;
  /** Version 2. */
  readonly org?: string | undefined;
  readonly bucket?: string | undefined;
  readonly token?: string | undefined;
  /** Version 1. */
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** PEM of the authority behind its certificate, beside those that this program knows. */
  readonly ca?: string | undefined;
}

/** Some lines of a write were not taken. `lines` counts from 1; empty when it does not say which. */
export interface PartlyWritten {
  readonly lines: readonly { readonly line: number; readonly reason: string }[];
  readonly reason: string;
}

export interface InfluxApi {
  /** For messages; no secret in it. */
  readonly place: string;
  /** Null when every line is durable. `target` is a retention policy or a bucket. */
  write(
    target: string,
    lines: readonly string[],
    signal: AbortSignal,
  ): Promise<PartlyWritten | null>;
  /** A request and its JSON answer; null where the server has no such thing (404). */
  ask(method: "GET" | "POST", path: string, body: unknown, signal: AbortSignal): Promise<unknown>;
  /** InfluxQL, which all three understand. `database` is a database or a bucket. */
  query(database: string, text: string, signal: AbortSignal): Promise<unknown>;
}

const packed = promisify(gzip);
const ANSWER_TIMEOUT_MS = 30_000;
/** A server that says nothing about when to come back. */
const BUSY_MS = 5_000;
const BUSY_MS_MAX = 600_000;
/** More of an answer is not read: it lists lines, a thousand of which serve no reader. */
const REASON_CHARACTERS_MAX = 200;

/** v1: {"error"}; v2: {"code","message","line"?}; v3: {"error","data":[{line_number,…}]}. */
const faultSchema = z.object({
  error: z.string().optional(),
  message: z.string().optional(),
  line: z.int().min(1).optional(),
  data: z
    .array(z.object({ line_number: z.int().min(1), error_message: z.string() }))
    .nullish()
    .catch(null),
});

export function createInfluxApi(server: InfluxServer): InfluxApi {
  const base = server.url.replace(/\/+$/, "");
  const place = new URL(base).host;
  const headers = authorization(server);
  const request = createRequest(server.ca);
  const send = async (
    method: "GET" | "POST",
    path: string,
    body: { readonly bytes: Uint8Array; readonly headers: Record<string, string> } | null,
    signal: AbortSignal,
  ): Promise<Answer> => {
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]);
    const given = { method, headers: { ...headers, ...body?.headers }, signal: inTime };
    try {
      return await request(`${base}${path}`, given, body?.bytes);
    } catch (cause) {
      if (signal.aborted) throw cause;
      const reason = systemCodeOf(cause) ?? messageOf(cause);
      const text = `InfluxDB at ${place} does not answer: ${reason}`;
      throw new PorchlightError("influx.unreachable", text, {
        remedy: "retry",
        hint: "see whether it runs there: porchlight-cloud config check names the address; with a private authority: influx.ca",
        cause,
      });
    }
  };
  return {
    place,
    async write(target, lines, signal) {
      const bytes = await packed(lines.join("\n"));
      const body = {
        bytes: new Uint8Array(bytes),
        headers: { "content-encoding": "gzip", "content-type": "text/plain; charset=utf-8" },
      };
      const response = await send("POST", writePath(server, target), body, signal);
      // Each of the three says so without a word; a login page of a proxy says 200.
      if (response.status === 204) return null;
      if (isGood(response)) throw stranger(place, response);
      if (isAboutLines(response.status)) return faultOf(response.text);
      throw failure(place, response);
    },
    async ask(method, path, value, signal) {
      const bytes = new TextEncoder().encode(JSON.stringify(value));
      const body = { bytes, headers: { "content-type": "application/json" } };
      const response = await send(method, path, value === null ? null : body, signal);
      if (response.status === 404) return null;
      if (!isGood(response)) throw failure(place, response);
      return response.text === "" ? {} : answerOf(place, response);
    },
    async query(database, text, signal) {
      const bytes = new TextEncoder().encode(new URLSearchParams({ q: text }).toString());
      const body = { bytes, headers: { "content-type": "application/x-www-form-urlencoded" } };
      const path = `/query?${new URLSearchParams({ db: database, epoch: "ms" })}`;
      const response = await send("POST", path, body, signal);
      if (!isGood(response)) throw failure(place, response);
      return answerOf(place, response);
    },
  };
}

function answerOf(place: string, response: Answer): unknown {
  try {
    return JSON.parse(response.text);
  } catch {
    throw stranger(place, response);
  }
}

/** Something between us and InfluxDB, or in its place: what it says was written is not. */
function stranger(place: string, response: Answer): PorchlightError {
  const type = response.headers["content-type"] ?? "nothing";
  return new PorchlightError(
    "influx.stranger",
    `${place} answers ${response.status} with ${type}: that is not InfluxDB`,
    {
      remedy: "retry",
      hint: "is a proxy or its login page between them? check influx.url: porchlight-cloud config check",
    },
  );
}

/** In a header: what stands in a URL ends up in logs. */
function authorization({
  version,
  token,
  username,
  password,
}: InfluxServer): Record<string, string> {
  if (token !== undefined) {
    return { authorization: `${version === 3 ? "Bearer" : "Token"} ${token}` };
  }
  if (username === undefined) return {};
  const account = Buffer.from(`${username}:${password ?? ""}`).toString("base64");
  return { authorization: `Basic ${account}` };
}

function writePath({ version, database, org }: InfluxServer, target: string): string {
  switch (version) {
    case 1:
      return `/write?${new URLSearchParams({ db: database ?? "", rp: target, precision: "ns" })}`;
    case 2:
      return `/api/v2/write?${new URLSearchParams({ org: org ?? "", bucket: target, precision: "ns" })}`;
    case 3:
      return `/api/v3/write_lp?${new URLSearchParams({ db: target, precision: "nanosecond" })}`;
  }
}

/** 400: v1, v3 and parse errors of v2; 422: v2; 413: too much at once, so the halves are tried. */
function isAboutLines(status: number): boolean {
  return status === 400 || status === 413 || status === 422;
}

function faultOf(text: string): PartlyWritten {
  const { error, message, line, data } = parsed(text);
  const reason = withoutLines(message ?? error ?? "refused");
  const lines = (data ?? []).map((each) => ({
    line: each.line_number,
    reason: withoutLines(each.error_message),
  }));
  return { lines: line === undefined ? lines : [{ line, reason }], reason };
}

function parsed(text: string): z.infer<typeof faultSchema> {
  try {
    return faultSchema.parse(JSON.parse(text));
  } catch {
    return {};
  }
}

/** The server's reason, without the line that it quotes. */
function withoutLines(reason: string): string {
  return reason.replace(/'[^']*'/g, "'…'").slice(0, REASON_CHARACTERS_MAX);
}

function failure(place: string, response: Answer): PorchlightError {
  const { status } = response;
  if (status >= 300 && status < 400) return stranger(place, response);
  const answer = `InfluxDB at ${place} answers ${status}`;
  if (status === 429 || status === 503) {
    const hint = "nothing to do: it is retried after the server's Retry-After";
    return new StoreBusy(answer, retryAfterMs(response.headers["retry-after"] ?? null), hint);
  }
  if (status >= 500) {
    const hint = "look into the log of that InfluxDB server";
    return new PorchlightError("influx.unreachable", answer, { remedy: "retry", hint });
  }
  if (status === 401 || status === 403) {
    return new PorchlightError("influx.denied", `${answer}: authentication failed`, {
      hint: "check influx.token, or influx.username and influx.password: porchlight-cloud config check",
    });
  }
  const { error, message } = parsed(response.text);
  const why = withoutLines(message ?? error ?? "");
  return new PorchlightError("influx.missing", `${answer}: ${why}`, {
    hint: "check influx.version, and influx.database or influx.org and influx.bucket",
  });
}

/** Seconds or a date (RFC 9110, 10.2.3). */
function retryAfterMs(value: string | null): number {
  if (value === null) return BUSY_MS;
  const ms = /^\d+$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? BUSY_MS : Math.min(Math.max(ms, 0), BUSY_MS_MAX);
}
