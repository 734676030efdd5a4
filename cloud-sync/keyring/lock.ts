/** "porchkey" as eight bytes: changes are numbered in the order in which they are committed. */
export const LOCK_KEYS = "SELECT pg_advisory_xact_lock(x'706f7263686b6579'::bigint)";
