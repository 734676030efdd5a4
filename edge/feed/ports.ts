/** What sync uses of the device: the log to be sent, and where its own progress is kept. */
import type { AckedStore } from "../log/acked.ts";
import type { StoredEntry } from "../log/event-log.ts";
import type { KeyOutbox, QueuedKey } from "../log/key-outbox.ts";
import type { LiveOutbox } from "../log/live-outbox.ts";
import type { LogReader } from "../log/reader.ts";
import type { UploadedStore } from "../log/uploaded.ts";

export type { QueuedKey };
/** An entry as it is sent. */
export type SentEntry = StoredEntry;
/** Every log of the device, one after the other, as it belongs into the centre. */
export type SentLog = Pick<LogReader, "start" | "head" | "find" | "closedAt" | "after" | "count">;
export type AckedPlace = AckedStore;
export type UploadedPlace = Pick<UploadedStore, "read" | "write">;
export type LiveQueue = Pick<LiveOutbox, "read" | "remove">;
export type KeyQueue = Pick<KeyOutbox, "next" | "settle">;
