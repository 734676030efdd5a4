import type { Store } from "./open-store.ts";

/** The same store; whoever serves the agent is told at once of what is appended. */
export function announcing(store: Store, feed: { notify(): void }): Store {
  return {
    ...store,
    append(drafts) {
      const cursors = store.append(drafts);
      feed.notify();
      return cursors;
    },
  };
}
