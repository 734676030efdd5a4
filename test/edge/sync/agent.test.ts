import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { createAckedStore, UNSIGNED_SITE } from "../../../edge/log/acked.ts";
import { openLog } from "../../../edge/log/open-log.ts";
import { type AgentOptions, runAgent } from "../../../edge/sync/agent.ts";
import { createPut } from "../../../edge/sync/put.ts";
import { systemClock } from "../../../shared/core/clock.ts";
import { silentLogger } from "../../../shared/core/logger.ts";
import { encodeMessage, nackSchema, topicOf } from "../../../shared/protocol/wire.ts";
import { fasterClock } from "../../support/agent.ts";
import { CentreLink } from "../../support/centre-link.ts";
import { sampled } from "../../support/facts.ts";
import { feedOptions, serve } from "../../support/feed.ts";
import { keepingLogger } from "../../support/ingest.ts";
import { type Mosquitto, needsMosquitto, startMosquitto } from "../../support/mosquitto.ts";
import { freePort } from "../../support/port.ts";
import { type TestStore, testStore } from "../../support/store.ts";
import { suite } from "../../support/suite.ts";
import { until } from "../../support/until.ts";

const syncing = suite("the agent, over a real broker");
const DEVICE = "11111111-2222-4333-8444-555555555555";
const PASSWORD = "a password of this test";
const USERS = { [DEVICE]: PASSWORD, centre: PASSWORD };

/** An agent at work on a store of its own. */
class Running {
  readonly at: TestStore;
  readonly states: string[] = [];
  reason: string | null = null;
  halted: string | null = null;
  readonly #stop = new AbortController();
  readonly #opened;
  readonly ended: Promise<void>;

  constructor(url: string, more: Partial<AgentOptions> = {}, at = testStore()) {
    this.at = at;
    this.#opened = openLog(this.at.options);
    this.ended = this.#run(url, more);
  }

  async #run(url: string, more: Partial<AgentOptions>): Promise<void> {
    const { folder } = this.at.options;
    const clock = { ...systemClock, ...more.clock };
    const feed = await serve(feedOptions(this.#opened, folder, { device: DEVICE, clock }));
    try {
      await runAgent(
        {
          feed: feed.address,
          bundle: { format: 1, device: DEVICE, url, username: DEVICE, password: PASSWORD },
          version: "test",
          objects: { read: () => null },
          put: createPut({ ca: undefined, local: true }),
          clock,
          random: () => 0.2,
          logger: silentLogger,
          untilAcked: false,
          alive: () => undefined,
          report: ({ state, reason, halted }) => {
            this.states.push(state);
            this.reason = reason ?? this.reason;
            this.halted = halted;
          },
          ...more,
        },
        this.#stop.signal,
      );
    } finally {
      await feed.close();
    }
  }

  lag(): number {
    const { reader, database } = this.#opened;
    const acked = createAckedStore(database, UNSIGNED_SITE).read();
    return reader.count(acked?.cursor ?? reader.start());
  }

  append(count: number): void {
    for (let left = count; left > 0; left -= 500) {
      this.at.store.log.append(Array.from({ length: Math.min(left, 500) }, (_, i) => sampled(i)));
    }
  }

  /** Whether the centre holds exactly this log. */
  same({ centre }: CentreLink): boolean {
    const { log } = this.at.store;
    const own = log.readAfter(0, 100_000).map(({ body }) => body);
    return own.join("\n") === centre.lines(log.head().log).join("\n");
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.ended;
    this.#opened.close();
    this.at.remove();
  }
}

if (needsMosquitto()) {
  let broker: Mosquitto;
  let link: CentreLink;
  syncing.before(async () => {
    broker = await startMosquitto({ users: USERS, config: ["max_queued_messages 10000"] });
  });
  syncing.before.each(async () => {
    link = new CentreLink(broker.url, { username: "centre", password: PASSWORD });
    await until("the centre is connected", () => link.client.connected);
  });
  syncing.after.each(async () => {
    // What it retained or queued for this device belongs to the test that is over.
    link.client.end(true);
    await broker.restart();
  });
  syncing.after(() => broker.stop());

  syncing(
    "a backlog and what is added meanwhile arrive once, in order, byte for byte",
    async () => {
      const agent = new Running(broker.url);
      agent.append(25_000);
      await until("everything is acked", () => agent.lag() === 0);
      agent.append(3);
      await until("the three are acked", () => agent.lag() === 0 && agent.same(link));
      assert.is(link.status, "online");
      await agent.stop();
      await until("it has said goodbye", () => link.status === "offline");
      assert.is(agent.states.at(-1), "stopped");
    },
  );

  syncing("until-acked ends by itself when the centre has everything", async () => {
    const agent = new Running(broker.url, { untilAcked: true });
    agent.append(10);
    await agent.ended;
    await until("all is acked", () => agent.lag() === 0);
    assert.ok(agent.same(link));
    await agent.stop();
  });

  syncing("a broker that is killed and comes back costs nothing but time", async () => {
    const agent = new Running(broker.url);
    agent.append(2_000);
    await until("it has begun", () => link.batches > 0);
    await broker.kill();
    agent.append(2_000);
    await until("it has noticed", () => agent.states.includes("waiting"));
    await broker.restart();
    await until("everything is acked", () => agent.lag() === 0);
    assert.ok(agent.same(link));
    await agent.stop();
  });

  syncing(
    "a session in which acks stop is torn down, and what was in flight sent again",
    async () => {
      link.mute = true;
      // 20 s without an ack are over in half a second.
      const agent = new Running(broker.url, { clock: fasterClock(40) });
      agent.append(100);
      await until("it gives up on the session", () => agent.states.includes("waiting"));
      assert.match(agent.reason ?? "", "no answer from the centre");
      assert.ok(agent.lag() > 0, "nothing counts as sent without an ack");
      link.mute = false;
      await until("everything is acked", () => agent.lag() === 0);
      assert.ok(agent.same(link));
      await agent.stop();
    },
  );

  syncing("a fork stops the log, and the status says so", async () => {
    const agent = new Running(broker.url);
    await until("it is connected", () => agent.lag() === 0);
    const { log, seq } = agent.at.store.log.head();
    const foreign = { log, seq, hash: "f".repeat(64), reason: "fork" } as const;
    await link.client.publishAsync(
      topicOf({ device: DEVICE, channel: "nack" }),
      encodeMessage(nackSchema, foreign),
      { qos: 1 },
    );
    await until("it is halted", () => agent.halted === "fork");
    agent.append(5);
    await sleep(300);
    assert.is(agent.lag(), 5);
    await agent.stop();
  });

  syncing("a message that makes no sense changes nothing", async () => {
    const agent = new Running(broker.url);
    await until("it is connected", () => agent.lag() === 0);
    for (const payload of ["", "{}", "no JSON", '{"log":1}', "x".repeat(70_000)]) {
      await link.client.publishAsync(topicOf({ device: DEVICE, channel: "ack" }), payload, {
        qos: 1,
      });
    }
    agent.append(5);
    await until("it goes on", () => agent.lag() === 0);
    assert.not(agent.states.includes("waiting"));
    await agent.stop();
  });

  syncing("a wrong password is told, and tried again later", async () => {
    const bundle = { format: 1, device: DEVICE, url: broker.url } as const;
    const agent = new Running(broker.url, {
      bundle: { ...bundle, username: DEVICE, password: "another" },
    });
    await until("it waits", () => agent.states.includes("waiting"));
    assert.match(agent.reason ?? "", "authentication failed");
    assert.not.match(agent.reason ?? "", "another");
    await agent.stop();
  });

  syncing(
    "a broker that is not there is told of now and then, and tried all the time",
    async () => {
      const { logger, lines } = keepingLogger();
      const url = `mqtt://127.0.0.1:${await freePort()}`;
      const agent = new Running(url, { logger, random: () => 0 });
      const tries = (): number => agent.states.filter((state) => state === "waiting").length;
      await until("it has tried", () => tries() >= 64);
      await agent.stop();
      assert.is(lines.length, 8 + Math.floor(Math.log2(tries())) - 3, lines.join(""));
    },
  );

  syncing("a broker that hangs does not hang the agent's end", async () => {
    const agent = new Running(broker.url);
    await until("it is connected", () => agent.lag() === 0);
    broker.freeze();
    const started = Date.now();
    await agent.stop();
    broker.thaw();
    assert.ok(Date.now() - started < 4_500, "systemd would have to kill it");
  });
}

syncing.run();
