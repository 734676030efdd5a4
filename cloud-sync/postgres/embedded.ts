/**
 * A PostgreSQL of our own, in a folder: nothing to install, nothing that listens on the network.
 *
 *     <folder>/            mode 0700, of the user the server runs as
 *       data/              the database
 *       .s.PGSQL.5432      the socket
 *       server.log         what the server says of itself
 *
 * Whoever holds a lock inside the server owns it. Killed with -9, we leave it behind without an
 * owner, and the next start ends it and starts its own; two never run on one folder.
 */
import type { ChildProcess } from "node:child_process";
import {
  closeSync,
  constants,
  existsSync,
  fchownSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type pg from "pg";
import { messageOf, PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { pause } from "../../shared/core/retry.ts";
import { heirOf } from "../host/heir.ts";
import { prepareFolder } from "./account.ts";
import { EMBEDDED_USER, ensureCluster, removeStalePid, serversOn, writeAccess } from "./cluster.ts";
import { own } from "./owner.ts";
import { createPlace, type Place } from "./place.ts";
import { findPrograms, libraryEnvironment, type Programs } from "./programs.ts";
import { reachablePrograms } from "./reachable-programs.ts";

export interface EmbeddedOptions {
  /** Absolute; made if it is not there. */
  readonly folder: string;
  readonly logger: Logger;
  /** Called when a server that ended by itself could not be restarted. */
  readonly failed: (error: unknown) => void;
  /** More of its settings, as `name=value`. */
  readonly settings?: readonly string[];
  /** A command while a centre runs: the server of another owner is used, and left as it is. */
  readonly attach?: boolean;
}

export interface EmbeddedPostgres {
  /** A URL for createDatabase; the server answers there once `start` has resolved. */
  readonly url: string;
  /**
   * Starts the server, and again whenever it ends by itself. Throws `postgres.embedded.in-use` when
   * another process owns the folder (unless `attach`), `.missing`, `.unreachable`, `.version` or
   * `.failed`.
   */
  start(signal: AbortSignal): Promise<void>;
  /** Ends the server, all transactions done or undone. Close your pools first. */
  stop(): Promise<void>;
}

const SETTINGS = [
  "listen_addresses=",
  "log_min_messages=log",
  "log_checkpoints=off",
  // Statements hold what devices said: they do not belong into a log file.
  "log_min_error_statement=panic",
  // The folder around it is closed already: who opened that has not opened the database.
  "unix_socket_permissions=0700",
  "max_connections=40",
  "max_wal_size=1GB",
];
/** sun_path of unix(7) has 108 bytes (104 on macOS), with the socket's name and a zero. */
const FOLDER_BYTES_MAX = 103 - "/.s.PGSQL.5432".length;
/** Recovery after a crash reads at most max_wal_size again: seconds, on an SD card a few minutes. */
const START_TIMEOUT_MS = 300_000;
const LOOK_AGAIN_MS = 30;
/** Others hold the owner's lock for a moment only when they look: this long, and they own it. */
const TAKEN_AFTER_MS = 2_000;
const LAUNCHES_MAX = 3;
/** After so long a polite end becomes a quick one, then one that recovery mends at the next start. */
const SMART_MS = 3_000;
const FAST_MS = 30_000;
const LOG_BYTES_MAX = 1024 * 1024;
const LOG_TAIL_LINES = 5;

export function createEmbeddedPostgres(options: EmbeddedOptions): EmbeddedPostgres {
  return new Embedded(options);
}

class Embedded implements EmbeddedPostgres {
  readonly url: string;
  readonly #options: EmbeddedOptions;
  #server: ChildProcess | undefined;
  #session: pg.Client | undefined;
  #running: Promise<void> | undefined;
  #stopping = new AbortController();

  constructor(options: EmbeddedOptions) {
    this.#options = options;
    const host = encodeURIComponent(options.folder);
    this.url = `postgres://${EMBEDDED_USER}@localhost/postgres?host=${host}`;
  }

  async start(signal: AbortSignal): Promise<void> {
    if (this.#running !== undefined) return this.#running;
    this.#stopping = new AbortController();
    this.#running = this.#begin(AbortSignal.any([signal, this.#stopping.signal]));
    try {
      await this.#running;
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running?.catch(() => undefined);
    this.#running = undefined;
    const server = this.#server;
    if (server !== undefined && hasNotEnded(server)) {
      const ended = new Promise((done) => server.once("exit", done));
      const quicker = setTimeout(() => server.kill("SIGINT"), SMART_MS);
      const quickest = setTimeout(() => server.kill("SIGQUIT"), FAST_MS);
      server.kill("SIGTERM");
      await this.#session?.end().catch(() => undefined);
      await ended;
      clearTimeout(quicker);
      clearTimeout(quickest);
    }
    await this.#session?.end().catch(() => undefined);
    this.#session = undefined;
    this.#server = undefined;
  }

  async #begin(signal: AbortSignal): Promise<void> {
    const { folder } = this.#options;
    if (Buffer.byteLength(folder) > FOLDER_BYTES_MAX) {
      throw new PorchlightError(
        "postgres.embedded.unreachable",
        `${folder} is too long a name for a socket in it (${FOLDER_BYTES_MAX} bytes at most)`,
        { hint: "choose a shorter --data" },
      );
    }
    const { place, programs } = await this.#enter();
    const data = await ensureCluster(programs.initdb, place);
    const names = [data, place.seen("data")];
    await this.#hold(data, names, signal);
  }

  /** Asked anew before each launch: a server of an earlier version kept the folder from changing hands. */
  async #enter(): Promise<{ readonly place: Place; readonly programs: Programs }> {
    const { folder, logger } = this.#options;
    const account = await prepareFolder(folder, logger);
    const found = await findPrograms();
    const programs = account === null ? found : reachablePrograms(found, account, logger);
    const place = createPlace(folder, account, (seen) =>
      libraryEnvironment(programs, join(folder, "lib"), seen("lib")),
    );
    return { place, programs };
  }

  /** Becomes the owner of a server that we have started, whatever is found on the folder. */
  async #hold(data: string, names: readonly string[], signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + START_TIMEOUT_MS;
    let takenSince: number | null = null;
    let launches = 0;
    for (; !signal.aborted; await pause(LOOK_AGAIN_MS, signal)) {
      const now = performance.now();
      if (now > deadline) throw this.#failure("did not answer in time");
      if (
        serversOn(data).length === 0 &&
        (this.#server === undefined || !hasNotEnded(this.#server))
      ) {
        if (++launches > LAUNCHES_MAX) throw this.#failure("ended at once");
        removeStalePid(data);
        writeAccess(data);
        const { place, programs } = await this.#enter();
        this.#server = this.#launch(programs.postgres, place);
        continue;
      }
      const found = await own(this.url, names, this.#server?.pid ?? null);
      if (found.kind === "taken") {
        if (this.#options.attach === true && this.#server === undefined) return;
        takenSince ??= now;
        if (now - takenSince > TAKEN_AFTER_MS) throw this.#inUse();
      } else takenSince = null;
      if (found.kind !== "owned") continue;
      if (found.postmaster === this.#server?.pid) {
        this.#keep(found.session, () => this.#hold(data, names, this.#stopping.signal));
        return;
      }
      this.#options.logger.warn("stopping an embedded PostgreSQL that was left running", {
        pid: found.postmaster,
      });
      await found.session.end().catch(() => undefined);
      await endServer(found.postmaster, data, signal);
    }
    signal.throwIfAborted();
  }

  /** Holds the owner's lock; when its connection ends, looks what has become of the server. */
  #keep(session: pg.Client, again: () => Promise<void>): void {
    this.#session = session;
    session.once("end", () => {
      if (this.#stopping.signal.aborted) return;
      const { logger, failed } = this.#options;
      logger.error("embedded PostgreSQL exited: restarting");
      this.#running = again();
      this.#running.catch((error: unknown) => {
        if (!this.#stopping.signal.aborted) failed(error);
      });
    });
  }

  #launch(postgres: string, place: Place): ChildProcess {
    const { folder, logger } = this.#options;
    const output = openLog(join(folder, "server.log"));
    const more = this.#options.settings ?? [];
    const settings = [...SETTINGS, ...more, `unix_socket_directories=${place.seen("")}`];
    const args = settings.flatMap((each) => ["-c", each]);
    // In a session of its own: Ctrl-C is for us, and we end the server when we are done with it.
    const server = place.spawn(postgres, ["-D", place.seen("data"), ...args], {
      detached: true,
      output,
    });
    closeSync(output);
    server.once("error", (error) => logger.error("database server", { reason: messageOf(error) }));
    server.unref();
    return server;
  }

  #failure(what: string): PorchlightError {
    const log = join(this.#options.folder, "server.log");
    const lines = existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : [];
    const tail = lines.slice(-LOG_TAIL_LINES).join("\n  ");
    return new PorchlightError("postgres.embedded.failed", `PostgreSQL ${what}:\n  ${tail}`, {
      hint: `see ${log}`,
    });
  }

  #inUse(): PorchlightError {
    const { folder } = this.#options;
    return new PorchlightError(
      "postgres.embedded.in-use",
      `${folder} is in use by another process`,
      {
        hint: "stop the other porchlight-cloud, or choose another folder with --data",
      },
    );
  }
}

/** Opened by us, in a folder of the server's user: where that is another, no link leads us away. */
function openLog(path: string): number {
  const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = constants;
  const log = openSync(path, O_APPEND | O_CREAT | O_NOFOLLOW | O_WRONLY, 0o600);
  const { owner } = heirOf(dirname(path));
  if (owner !== undefined) fchownSync(log, owner.uid, owner.gid);
  if (fstatSync(log).size > LOG_BYTES_MAX) ftruncateSync(log);
  return log;
}

/** Ends a server that is not our child, transactions in it undone. */
async function endServer(pid: number, data: string, signal: AbortSignal): Promise<void> {
  const started = performance.now();
  let pushed = false;
  process.kill(pid, "SIGINT");
  while (serversOn(data).includes(pid) && !signal.aborted) {
    if (!pushed && performance.now() - started > FAST_MS) pushed = process.kill(pid, "SIGQUIT");
    await pause(LOOK_AGAIN_MS, signal);
  }
}

function hasNotEnded(server: ChildProcess): boolean {
  return server.pid !== undefined && server.exitCode === null && server.signalCode === null;
}
