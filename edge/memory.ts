/**
 * How the C library should keep memory that the nets gave back: in few arenas, returned to the
 * kernel. Read by malloc before a process begins, so whoever starts the daemon sets it, here as in
 * systemd/porchlight.service. With it, and without ONNX Runtime's own arena (vision/session.ts),
 * the daemon stays below 250 MB with the default pack instead of 408 MB: test/bench/daemon.bench.ts.
 * Smaller thresholds save another 50 MB and cost a third of the speed.
 */
export const MALLOC_ENVIRONMENT = {
  MALLOC_ARENA_MAX: "2",
  MALLOC_TRIM_THRESHOLD_: "33554432",
  MALLOC_MMAP_THRESHOLD_: "4194304",
} as const;
