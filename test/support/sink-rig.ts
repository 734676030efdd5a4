import * as assert from "uvu/assert";
import { createCentralLog } from "../../cloud-sync/log/event-log.ts";
import type { ArchivedPages } from "../../cloud-sync/log/pages.ts";
import { createDatabase, type Database } from "../../cloud-sync/postgres/database.ts";
import type { AnyProjection } from "../../cloud-sync/sinks/projection.ts";
import { createSinkControl } from "../../cloud-sync/sinks/runner/control.ts";
import type { Sink } from "../../cloud-sync/sinks/sink.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import { Central } from "./central.ts";
import { batchOf } from "./links.ts";
import { startPgvector } from "./pgvector.ts";
import { type PostgresServer, PROGRAMS, startPostgres } from "./postgres.ts";
import { startProxy } from "./proxy.ts";
import { RunningSink } from "./running-sink.ts";
import type { SinkCase, StoreUnderTest } from "./sink-stores.ts";
import { Story } from "./story.ts";
import { until } from "./until.ts";

export type AnySink = Sink | AnyProjection;

/** The server itself never ends: what it says it has need not be on the disk. */
const FAST = ["fsync=off", "synchronous_commit=off"];

interface Engine {
  readonly server: PostgresServer;
  readonly central: Central;
  url: string;
}

/** A central log with a story in it, and a sink of it that can be run, cut off and looked into. */
export class SinkRig {
  readonly #engines = new Map<SinkCase["server"], Engine>();
  #engine: Engine | undefined;
  #proxy: Awaited<ReturnType<typeof startProxy>> | undefined;
  #connections: Database[] = [];
  #one: SinkCase | undefined;
  story = new Story();
  #store: StoreUnderTest | undefined;

  get central(): Central {
    if (this.#engine === undefined) throw new Error("begin() comes first");
    return this.#engine.central;
  }

  get store(): StoreUnderTest {
    if (this.#store === undefined) throw new Error("begin() comes first");
    return this.#store;
  }

  async begin(one: SinkCase): Promise<void> {
    const engine = this.#engines.get(one.server) ?? (await startEngine(one.server));
    this.#engines.set(one.server, engine);
    this.#engine = engine;
    this.#one = one;
    await engine.central.begin();
    this.#proxy = await startProxy(engine.server.port);
    this.story = new Story();
    this.#store = await one.start({ database: this.central.database, story: this.story });
  }

  async end(): Promise<void> {
    await this.#store?.stop();
    await Promise.all(this.#connections.map((each) => each.close()));
    this.#connections = [];
    await this.#proxy?.stop();
    await this.central.end();
  }

  async stop(): Promise<void> {
    for (const { central } of this.#engines.values()) await central.stop();
  }

  async append(from = 1, to = this.story.links.length): Promise<void> {
    const { device, log, links } = this.story;
    const batch = batchOf(log, links.slice(from - 1, to), links[from - 2]);
    const [outcome] = await this.central.log.append([{ device, batch }]);
    assert.is(outcome?.kind, "appended");
  }

  /** Connections of its own to the database, as another instance has them. */
  connect(): Database {
    const url = new URL(this.#engine?.url ?? "");
    url.port = String(this.#proxy?.port);
    const database = createDatabase({ url: url.href, logger: silentLogger, random: () => 0 });
    this.#connections.push(database);
    return database;
  }

  /** As an instance runs it, with whatever is put around its sink or its database. */
  run(more: RunOptions = {}): RunningSink {
    const { around = (sink) => sink, wrapped = (database) => database, archived } = more;
    const database = wrapped(this.connect());
    const surroundings = { database, log: createCentralLog(database) };
    return new RunningSink(around(this.store.sink(database)), {
      ...surroundings,
      ...(archived !== undefined && { archived }),
    });
  }

  async cut(): Promise<void> {
    await (this.store.cut ?? this.#proxy?.cut)?.();
  }

  async mend(): Promise<void> {
    await (this.store.mend ?? this.#proxy?.mend)?.();
  }

  async settled(running: RunningSink, what = "everything is written"): Promise<void> {
    const last = await this.central.log.lastPosition();
    await until(what, () => running.runner.stats().position === last, 20_000);
  }

  /** What the whole story comes to when nothing goes wrong: from the first entry, in one batch. */
  async expected(): Promise<unknown> {
    const sink = this.store.sink(this.central.database);
    if (!("prepare" in sink)) return this.#elsewhere();
    await this.store.clear?.();
    await this.replay(sink.name);
    return this.store.contents();
  }

  async #elsewhere(): Promise<unknown> {
    if (this.#one === undefined) throw new Error("begin() comes first");
    const { database, log } = this.central;
    const undisturbed = await this.#one.start({ database, story: this.story });
    const sink = undisturbed.sink(database);
    if ("prepare" in sink) throw new Error("a store elsewhere is written to");
    const { signal } = new AbortController();
    await sink.open(signal);
    await sink.write(await log.readAfter(0n, 10_000), signal);
    const contents = await undisturbed.contents();
    await sink.close();
    await undisturbed.stop();
    return contents;
  }

  /** Asks for a replay, runs it, and waits until it is served. */
  async replay(name: string, more: RunOptions = {}): Promise<void> {
    await createSinkControl(this.central.database).reset(name);
    const running = this.run(more);
    await until("it was replayed", async () => {
      const query = "SELECT FROM sink_cursors WHERE reset_asked";
      return (await this.central.database.query(query)).length === 0;
    });
    await this.settled(running);
    await running.stop();
  }

  async rejectsOf(sink: string): Promise<number[]> {
    const rows = await createSinkControl(this.central.database).rejects(sink, 0n, 100);
    return rows.map(({ seq }) => seq);
  }

  rejectedSeqs(): number[] {
    const types = this.#one?.rejects ?? [];
    return [...this.story.bad].filter(([type]) => types.includes(type)).map(([, seq]) => seq);
  }

  /** As if the holder had not been heard of for longer than its lease. */
  async expire(): Promise<void> {
    const past = "UPDATE sink_cursors SET held_until = now() - interval '1 second'";
    await this.central.database.query(past);
  }
}

export interface RunOptions {
  readonly around?: (sink: AnySink) => AnySink;
  readonly wrapped?: (database: Database) => Database;
  readonly archived?: ArchivedPages;
}

async function startEngine(kind: SinkCase["server"]): Promise<Engine> {
  const server = kind === "pgvector" ? await startPgvector() : await startPostgres(PROGRAMS, FAST);
  const engine: Engine = {
    server,
    url: "",
    central: new Central(async () => ({
      async fresh() {
        engine.url = server.freshDatabase();
        return createDatabase({
          url: engine.url,
          logger: silentLogger,
          random: Math.random,
        });
      },
      stop: server.stop,
    })),
  };
  return engine;
}
