import type { StoredEntry } from "../../cloud-sync/log/event-log.ts";
import type { Database } from "../../cloud-sync/postgres/database.ts";
import type { AnyProjection, Fenced } from "../../cloud-sync/sinks/projection.ts";
import type { RejectedEntry, Rejection } from "../../cloud-sync/sinks/sink.ts";

/** A projection whose batches are written when a test says so: without cursor, lease and fence. */
export class DirectProjection {
  readonly #database: Database;
  readonly #projection: AnyProjection;
  readonly #signal = new AbortController().signal;

  constructor(database: Database, projection: AnyProjection) {
    this.#database = database;
    this.#projection = projection;
  }

  get #schema(): string {
    return this.#projection.schema ?? "";
  }

  /** Makes its tables, empty. */
  async open(): Promise<void> {
    await this.#projection.version();
    await this.#database.query(`DROP SCHEMA IF EXISTS ${this.#schema} CASCADE`);
    await this.#database.query(`CREATE SCHEMA ${this.#schema}`);
    await this.#database.query(await this.#projection.tables(this.#schema));
  }

  async write(batch: readonly StoredEntry[]): Promise<{ readonly rejected: readonly Rejection[] }> {
    const pending = await this.#projection.prepare(batch);
    const refused = await this.#database.transaction((connection) =>
      pending.write(connection, this.#schema),
    );
    return { rejected: [...pending.rejected, ...refused] };
  }

  /** One step; null when nothing has changed. */
  async catchUp(): Promise<readonly RejectedEntry[] | null> {
    const [rejected, fenced] = this.#fenced();
    const moved = await this.#projection.catchUp?.(this.#schema, fenced, this.#signal);
    return moved === true ? rejected : null;
  }

  async maintain(): Promise<void> {
    await this.#projection.maintain?.(this.#schema, this.#fenced()[1], this.#signal);
  }

  #fenced(): readonly [RejectedEntry[], Fenced] {
    const rejected: RejectedEntry[] = [];
    const fenced: Fenced = async (work) => {
      rejected.push(...(await this.#database.transaction(work)));
    };
    return [rejected, fenced];
  }
}
