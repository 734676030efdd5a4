import { z } from "zod";
import { type Cursor, cursorSchema, startOf } from "../../shared/log/cursor.ts";
import { decodeBatch } from "../../shared/protocol/batch.ts";
import type { Nack } from "../../shared/protocol/wire.ts";

const openedSchema = z.object({ data: z.object({ parent: cursorSchema.nullable() }) });

function parentOf(body: Buffer | null | undefined): Cursor | null {
  return openedSchema.parse(JSON.parse(String(body))).data.parent;
}

export type Answer = { readonly ack: Cursor } | { readonly nack: Nack };

/** The rules of the centre, in memory: what it holds of each log, line by line, and what it says. */
export class Centre {
  readonly #logs = new Map<string, { hash: string; line: string }[]>();

  /** What it holds of a log, as an export prints it. */
  lines(log: string): string[] {
    return (this.#logs.get(log) ?? []).map(({ line }) => line);
  }

  head(log: string): Cursor {
    const entries = this.#logs.get(log) ?? [];
    const last = entries.at(-1);
    return last ? { log, seq: entries.length, hash: last.hash } : startOf(log);
  }

  /** Loses what came after the first entries of a log, as a restored backup has. */
  forget(log: string, kept: number): void {
    const logs = [...this.#logs.keys()];
    for (const later of logs.slice(logs.indexOf(log) + 1)) this.#logs.delete(later);
    this.#logs.get(log)?.splice(kept);
  }

  receive(payload: Buffer): Answer {
    const { log, previous, entries } = decodeBatch(payload);
    const first = entries[0]?.seq ?? 1;
    const parent = first === 1 ? parentOf(entries[0]?.body) : null;
    // A log follows another: what the device has not sent of that one would never be asked for.
    if (parent !== null && (this.#logs.get(parent.log)?.length ?? 0) < parent.seq) {
      return { nack: { ...this.head(parent.log), reason: "gap" } };
    }
    const held = this.#logs.get(log) ?? [];
    if (first > held.length + 1) return { nack: { ...this.head(log), reason: "gap" } };
    const before = first === 1 ? startOf(log).hash : held[first - 2]?.hash;
    const fork = entries.some(({ seq, hash }) => {
      const known = held[seq - 1]?.hash;
      return known !== undefined && known !== hash.toString("hex");
    });
    if (fork || before !== previous.toString("hex")) {
      return { nack: { ...this.head(log), reason: "fork" } };
    }
    this.#logs.set(log, held);
    for (const { seq, hash, body } of entries.slice(held.length + 1 - first)) {
      const own = hash.toString("hex");
      const line = body?.toString("utf8") ?? `{"hash":"${own}","seq":${seq}}`;
      held.push({ hash: own, line });
    }
    return { ack: this.head(log) };
  }
}
