import type { AnyDraft } from "../../shared/log/draft.ts";

/** Facts that may wait for company: telemetry. Lost only in the last moment before a power cut. */
export interface GroupCommit {
  add(draft: AnyDraft): void;
  /** Appends what waits. */
  flush(): void;
  /** Flushes and stops the timer. */
  close(): void;
}

export interface GroupCommitOptions {
  readonly append: (drafts: readonly AnyDraft[]) => unknown;
  /** A group is written when it is this old … */
  readonly maxWaitMs: number;
  /** … or this large. */
  readonly maxDrafts: number;
  readonly failed: (error: unknown) => void;
}

export function createGroupCommit(options: GroupCommitOptions): GroupCommit {
  const { append, maxDrafts, maxWaitMs, failed } = options;
  let waiting: AnyDraft[] = [];
  let timer: NodeJS.Timeout | undefined;
  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const group = waiting;
    waiting = [];
    if (group.length > 0) append(group);
  };
  const flushLater = (): void => {
    try {
      flush();
    } catch (error) {
      failed(error);
    }
  };
  return {
    add(draft) {
      waiting.push(draft);
      if (waiting.length >= maxDrafts) flush();
      else timer ??= setTimeout(flushLater, maxWaitMs);
    },
    flush,
    close: flush,
  };
}
