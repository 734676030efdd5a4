/**
 * How memory that the nets gave back is kept: malloc(3) in few arenas, large blocks returned to the
 * kernel at once, and a small young generation in V8. All of it is read before a process begins, so
 * whoever starts the daemon sets it, here as in systemd/porchlight.service. With it, and without
 * ONNX Runtime's own arena (vision/session.ts), the daemon takes below 250 MB with the default pack
 * instead of 408 MB: test/bench/daemon.bench.ts. It costs about a fifth of the speed (62 against
 * 50 ms a frame of 1280 × 853): large tensors are mapped anew each time. A doorbell with 1 GB of
 * memory needs the memory more; whoever does not can set these variables otherwise.
 */
export const MEMORY_ENVIRONMENT = {
  MALLOC_ARENA_MAX: "2",
  MALLOC_TRIM_THRESHOLD_: "131072",
  MALLOC_MMAP_THRESHOLD_: "131072",
  NODE_OPTIONS: "--max-semi-space-size=2",
} as const;
