/**
 * A device with a good password and ill intent, in a process of its own:
 *
 *     hostile-device.ts <order as JSON>
 *
 * Does for so many seconds what the order names, and prints how often it did that.
 */
import { randomUUID } from "node:crypto";
import { type ClientRequest, request } from "node:http";
import type { Socket } from "node:net";
import { constants, setPriority } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import mqtt, { type MqttClient } from "mqtt";
import { type Cursor, startOf } from "../../shared/log/cursor.ts";
import { encodeBatch } from "../../shared/protocol/batch.ts";
import {
  type Channel,
  decodeMessage,
  topicOf,
  uploadGrantSchema,
} from "../../shared/protocol/wire.ts";
import { logOf, opened, visitLike } from "./links.ts";
import { connectPacket, open, publishPacket, subscribePacket, write } from "./raw-mqtt.ts";

export interface HostileOrder {
  readonly attack: string;
  readonly url: string;
  readonly device: string;
  readonly password: string;
  /** Of another device, whose password is guessed. */
  readonly victim: string;
  readonly seconds: number;
}

// It stands for another machine, which takes no processor time from the centre.
setPriority(constants.priority.PRIORITY_LOW);

const order: HostileOrder = JSON.parse(process.argv[2] ?? "{}");
const { url, device, password } = order;
const untilMs = performance.now() + order.seconds * 1_000;
const over = (): boolean => performance.now() > untilMs;
const IN_FLIGHT = 8;
const SOCKETS = 800;
const GUESSERS = 16;
const SLOW_UPLOADS = 64;
const OBJECTS = 16;
let done = 0;

const topic = (channel: Channel): string => topicOf({ device, channel });

async function client(): Promise<MqttClient> {
  const made = await mqtt.connectAsync(url, {
    protocolVersion: 4,
    clientId: `porchlight-${device}`,
    username: device,
    password,
    clean: false,
    reconnectPeriod: 100,
  });
  made.on("error", () => undefined);
  return made;
}

/** Publishes as fast as it is let. */
async function flood(channel: Channel, next: () => Buffer): Promise<void> {
  const sender = await client();
  const work = async (): Promise<void> => {
    while (!over()) {
      const late = sleep(2_000, undefined, { ref: false });
      await Promise.race([sender.publishAsync(topic(channel), next(), { qos: 1 }), late]).catch(
        () => sleep(20),
      );
      done++;
    }
  };
  await Promise.race([
    Promise.all(Array.from({ length: IN_FLIGHT }, work)),
    sleep(order.seconds * 1_000 + 500),
  ]);
  sender.end(true);
}

/** Batches of a log that are all as they should be. */
function validBatches(entries: number): () => Buffer {
  const log = randomUUID();
  let place = startOf(log);
  let count = 0;
  return () => {
    const facts = Array.from({ length: entries }, () =>
      count++ === 0 ? opened(device) : visitLike(count),
    );
    const made = encodeBatch(place, logOf(log, facts, place));
    place = made.last;
    return made.payload;
  };
}

/** Each log follows the last. */
function manyLogs(): () => Buffer {
  let parent: Cursor | null = null;
  return () => {
    const log = randomUUID();
    const made = encodeBatch(startOf(log), logOf(log, [opened(device, parent)]));
    parent = made.last;
    return made.payload;
  };
}

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

function wish(): Buffer {
  return json({ log: randomUUID(), seq: 1, sha256: "a".repeat(64), bytes: 1_000 });
}

function words(): Buffer {
  const keys = Array.from({ length: 100 }, () => {
    return { subject: randomUUID(), class: "profile", number: 1, wrapped: null };
  });
  return json({ site: "a".repeat(64), keys });
}

/** Asks for answers, and neither acknowledges nor (if `deaf`) reads them. */
async function unanswering(deaf: boolean): Promise<void> {
  for (let id = 1; !over(); ) {
    const socket = await open(url);
    if (deaf) socket.pause();
    else socket.resume();
    await write(socket, connectPacket(device, password));
    await sleep(200);
    for (const channel of ["upload/grant", "ack", "nack"] as const) {
      await write(socket, subscribePacket(topic(channel)));
    }
    while (!over() && !socket.destroyed) {
      id = (id % 65_000) + 1;
      await Promise.race([
        write(socket, publishPacket(topic("upload/request"), wish(), id)),
        sleep(500),
      ]);
      done++;
      await sleep(1);
    }
    socket.destroy();
    await sleep(50);
  }
}

/** A megabyte each of a CONNECT that does not end. */
async function unfinished(): Promise<void> {
  const begun = Buffer.concat([Buffer.from([0x10, 0xff, 0xff, 0x3f]), Buffer.alloc(1_024 * 1_024)]);
  const sockets: Socket[] = [];
  while (!over()) {
    while (sockets.length >= SOCKETS) sockets.shift()?.destroy();
    const socket = await open(url);
    socket.resume().write(begun.subarray(0, done % 2 === 0 ? 3_000 : begun.length));
    sockets.push(socket);
    done++;
    await sleep(1);
  }
  for (const socket of sockets) socket.destroy();
}

async function guessing(): Promise<void> {
  const guess = async (): Promise<void> => {
    while (!over()) {
      const socket = await open(url);
      const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
      socket.resume();
      await write(socket, connectPacket(done % 2 === 0 ? order.victim : device, randomUUID()));
      await Promise.race([closed, sleep(1_000)]);
      socket.destroy();
      done++;
    }
  };
  await Promise.all(Array.from({ length: GUESSERS }, guess));
}

/** Announces objects, is granted their upload, and brings them a byte a second on many sockets. */
async function slowUploads(): Promise<void> {
  const log = randomUUID();
  const bytes = 100_000;
  const hashes = Array.from({ length: OBJECTS }, (_, i) => i.toString(16).padStart(64, "0"));
  const facts = hashes.map((sha256) => {
    const [media, visit] = [randomUUID(), randomUUID()];
    const data = {
      bytes,
      heightPx: 1,
      kind: "snapshot",
      media,
      sha256,
      visit,
      widthPx: 1,
    } as const;
    return { ...visitLike(1), type: "media.captured", subject: visit, data } as const;
  });
  const sender = await client();
  const grants: { readonly url: string; readonly headers: Record<string, string> }[] = [];
  sender.on("message", (_, payload) => {
    const answer = decodeMessage(uploadGrantSchema, payload);
    if ("url" in answer) grants.push(answer);
  });
  await sender.subscribeAsync(topic("upload/grant"), { qos: 1 });
  const made = encodeBatch(startOf(log), logOf(log, [opened(device), ...facts]));
  await sender.publishAsync(topic("log"), made.payload, { qos: 1 });
  await sleep(300);
  for (const [i, sha256] of hashes.entries()) {
    await sender.publishAsync(topic("upload/request"), json({ log, seq: i + 2, sha256, bytes }), {
      qos: 1,
    });
  }
  const uploads: ClientRequest[] = [];
  while (!over()) {
    const grant = grants[done % Math.max(grants.length, 1)];
    if (grant !== undefined && uploads.length < SLOW_UPLOADS) {
      const upload = request(grant.url, { method: "PUT", headers: grant.headers });
      upload.on("error", () => undefined).on("response", (response) => response.resume());
      upload.once("close", () => uploads.splice(uploads.indexOf(upload), 1));
      uploads.push(upload);
      done++;
    }
    for (const upload of uploads) if (!upload.destroyed) upload.write("x");
    await sleep(uploads.length < SLOW_UPLOADS ? 5 : 1_000);
  }
  for (const upload of uploads) upload.destroy();
  sender.end(true);
}

const ATTACKS: Readonly<Record<string, () => Promise<void>>> = {
  junk: () => flood("log", () => Buffer.from("junk")),
  entries: () => flood("log", validBatches(100)),
  logs: () => flood("log", manyLogs()),
  statuses: () => flood("status", () => json({ state: "offline", version: `${done}` })),
  requests: () => flood("upload/request", wish),
  keys: () => flood("keys", words),
  unacknowledged: () => unanswering(false),
  deaf: () => unanswering(true),
  connects: unfinished,
  passwords: guessing,
  uploads: slowUploads,
};

await ATTACKS[order.attack]?.();
process.stdout.write(`${done}\n`);
process.exit(0);
