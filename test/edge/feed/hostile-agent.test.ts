/** A process that has taken over the agent: what it can do to the daemon is to say nothing, late. */
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { createWorkBudget } from "../../../edge/feed/work-budget.ts";
import type { Claim } from "../../../shared/protocol/answer-proof.ts";
import { decodeBatch } from "../../../shared/protocol/batch.ts";
import { encodeFrame } from "../../../shared/protocol/feed.ts";
import { captured, pressed, sampled, seeded } from "../../support/facts.ts";
import { withDoor } from "../../support/hostile-agent.ts";
import { mutate } from "../../support/mutate.ts";
import { newSite, release } from "../../support/released.ts";
import { newSigner } from "../../support/signer.ts";
import { suite } from "../../support/suite.ts";
import { until } from "../../support/until.ts";

const hostile = suite("a hostile agent");
const MIB = 1024 * 1024;
const SEED = Number(process.env["SEED"] ?? Date.now() % 1_000_000);

hostile("an ack counts where this site has signed it, for this session, this device", async () => {
  await withDoor(async (door) => {
    door.at.store.append([pressed(), sampled(1), sampled(2)]);
    const before = door.state();
    const first = await door.agent();
    const old = await first.begin();
    const claimOf = (seq: number, verdict: Claim["verdict"] = "ack"): Claim => ({
      ...{ device: door.device, verdict, cursor: door.place(seq) },
    });
    const signed = (claim: Claim, nonce: string, signer = door.signer) => ({
      ...claim.cursor,
      proof: signer.sign(claim, nonce),
    });
    first.socket.destroy();
    await once(first.socket, "close");
    const agent = await door.agent();
    const nonce = await agent.begin();
    assert.is.not(nonce, old, "each session has its own");
    const nowhere = { ...door.place(3), hash: "ab".repeat(32) };
    const later = { ...door.place(4), seq: 900, hash: "cd".repeat(32) };
    const forged: unknown[] = [
      door.place(4),
      { ...door.place(4), proof: door.signer.sign(claimOf(3), nonce) },
      signed(claimOf(4), old),
      signed(claimOf(4), nonce, newSigner()),
      signed({ ...claimOf(4), device: "11111111-2222-4333-8444-555555555555" }, nonce),
      signed(claimOf(4, "gap"), nonce),
      { ...claimOf(4).cursor, proof: { ...door.signer.sign(claimOf(4), nonce), nonce: old } },
    ];
    for (const message of forged) agent.answer("ack", message);
    for (const reason of ["gap", "fork", "invalid"]) {
      agent.answer("nack", { ...door.place(1), reason });
      agent.answer("nack", { ...nowhere, reason });
      agent.answer("nack", { ...later, reason });
    }
    await agent.settled();
    assert.equal(door.state(), before);
    // The session goes on, and what the site has signed counts.
    const fresh = decodeBatch(agent.batches.at(-1) ?? Buffer.alloc(0)).nonce ?? "";
    agent.answer("ack", signed(claimOf(4), fresh));
    await until("it is acknowledged", () => door.acked()?.seq === 4);
    // An earlier ack of the same session takes nothing back.
    agent.answer("ack", signed(claimOf(2), fresh));
    await agent.settled();
    assert.is(door.acked()?.seq, 4);
    // The site itself may say that it has less: it was restored.
    const again = decodeBatch(agent.batches.at(-1) ?? Buffer.alloc(0)).nonce ?? "";
    agent.answer("nack", { ...signed(claimOf(2, "gap"), again), reason: "gap" });
    await until("it is believed", () => door.acked()?.seq === 2);
  });
});

hostile("what was never given to it, it cannot settle: presses, keys, objects", async () => {
  await withDoor(async (door) => {
    const agent = await door.agent();
    const id = "22222222-2222-4333-8444-555555555555";
    door.at.store.append([pressed(), captured(id)]);
    await release(door.at.store, door.device, ["media"], newSite().publicKey);
    const before = door.state();
    const sha256 = "ab".repeat(32);
    for (let position = 1; position < 50; position++) agent.say({ type: "live.sent", position });
    agent.say({ type: "put.done", sha256, status: 200 });
    agent.say({ type: "put.failed", sha256, reason: "\u001b]0;owned\u0007" });
    agent.say({ type: "heard", channel: "keys/ack" }, Buffer.from(JSON.stringify({ sha256 })));
    const granted = { sha256, url: "https://127.0.0.1/", headers: {}, expiresAt: 1 };
    agent.say({ type: "heard", channel: "upload/grant" }, Buffer.from(JSON.stringify(granted)));
    await sleep(200);
    assert.equal(door.state(), before);
  });
});

hostile("garbage, frames too long and half ones end the connection, and nothing else", async () => {
  process.stdout.write(`SEED=${SEED} `);
  const random = seeded(SEED);
  await withDoor(async (door) => {
    door.at.store.append([pressed()]);
    const before = door.state();
    const whole = [
      encodeFrame({ type: "hello", feed: 1, version: "test" }),
      encodeFrame({ type: "session", window: 8 }),
      encodeFrame({ type: "heard", channel: "ack" }, Buffer.from("{}")),
    ];
    const hello = whole[0] ?? Buffer.alloc(0);
    const long = Buffer.alloc(8, 0xff);
    const lines: Buffer[] = [
      Buffer.from("GET / HTTP/1.1\r\n\r\n"),
      long,
      whole[1] ?? hello,
      Buffer.concat([hello, long]),
      hello.subarray(0, 20),
      ...Array.from({ length: 12 }, () => mutate(Buffer.concat(whole), random)),
    ];
    for (const line of lines) {
      // A connection that was refused for the limit says so by its end.
      const socket = connect(door.path);
      socket.on("error", () => undefined);
      socket.write(line);
      await Promise.race([once(socket.resume(), "close"), sleep(100)]);
      socket.destroy();
      await sleep(260);
    }
    const agent = await door.agent();
    await agent.begin();
    assert.equal(door.state(), before);
  });
});

/** Resident memory of this process, of which the feed is a thread. */
function residentBytes(): number {
  const pages = Number(readFileSync("/proc/self/statm", "utf8").split(" ")[1]);
  return pages * 4096;
}

hostile("1,000 connections, floods and one that never reads cost bounded memory", async () => {
  await withDoor(async (door) => {
    const batch = Array.from({ length: 1_000 }, (_, i) => sampled(i));
    for (let i = 0; i < 20; i++) door.at.store.append(batch);
    const held = residentBytes();
    // One that asks for batch after batch and reads none of it.
    const deaf = connect(door.path);
    deaf.on("error", () => undefined);
    deaf.pause();
    deaf.write(encodeFrame({ type: "hello", feed: 1, version: "test" }));
    deaf.write(encodeFrame({ type: "session", window: 64 }));
    const wishes = Buffer.concat([
      encodeFrame({ type: "session", window: 64 }),
      ...Array.from({ length: 50 }, () => encodeFrame({ type: "room", bytes: 786_432 })),
    ]);
    for (let i = 0; i < 200; i++) deaf.write(wishes);
    const many = Array.from({ length: 1_000 }, () => {
      const socket = connect(door.path);
      socket.on("error", () => undefined);
      return socket;
    });
    let most = 0;
    for (let turn = 0; turn < 20; turn++) {
      // The daemon goes on: an append is not held up by what the feed is asked for.
      door.at.store.append([pressed()]);
      door.feed.notify();
      most = Math.max(most, residentBytes() - held);
      await sleep(50);
    }
    assert.ok(most < 160 * MIB, `${Math.round(most / MIB)} MiB more`);
    for (const socket of [...many, deaf]) socket.destroy();
    assert.ok(existsSync(door.path));
    // And an honest one is served again.
    const agent = await door.agent();
    await agent.begin();
  });
});

hostile("one that asks and asks, and reads nothing, is ended before it costs memory", async () => {
  await withDoor(async (door) => {
    const before = residentBytes();
    for (const frame of [
      { type: "hello", feed: 1, version: "x".repeat(64) },
      { type: "session", window: 8 },
      { type: "alive" },
    ] as const) {
      const socket = connect(door.path);
      socket.on("error", () => undefined);
      socket.pause();
      socket.write(encodeFrame({ type: "hello", feed: 1, version: "test" }));
      const many = Buffer.concat(Array.from({ length: 20_000 }, () => encodeFrame(frame)));
      for (let i = 0; i < 20 && !socket.destroyed; i++) socket.write(many);
      await sleep(500);
      socket.destroy();
      await sleep(300);
    }
    const more = residentBytes() - before;
    assert.ok(more < 150 * MIB, `${Math.round(more / MIB)} MiB more`);
    await (await door.agent()).begin();
  });
});

hostile("work beyond its budget waits: a burst, then half of a core", () => {
  let now = 0;
  const budget = createWorkBudget(() => now);
  let worked = 0;
  while (now < 600_000) {
    const wait = budget.waitMs();
    now += wait;
    if (wait > 0) continue;
    now += 10;
    worked += 10;
    budget.charge(10);
  }
  assert.ok(worked <= 20_000 + now * 0.55, `${worked} of ${now} ms`);
  assert.ok(worked >= now * 0.45, "and what it may have it gets");
});

hostile.run();
