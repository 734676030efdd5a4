/**
 * How memory that was given back is kept: malloc(3) in few arenas, blocks from 1 MiB on returned to
 * the kernel at once, and a small young generation in V8. All of it is read before a process
 * begins, so whoever starts the daemon sets it, here as in systemd/porchlight.service. With it the
 * daemon takes about 200 MB with the default pack instead of 320 MB: test/bench/daemon.bench.ts.
 * What is used in every frame does not pass through malloc at all (vision/session.ts): at 128 KiB
 * without that, half of the processor's time went into mapping the same memory again.
 */
export const MEMORY_ENVIRONMENT = {
  MALLOC_ARENA_MAX: "2",
  MALLOC_TRIM_THRESHOLD_: "1048576",
  MALLOC_MMAP_THRESHOLD_: "1048576",
  NODE_OPTIONS: "--max-semi-space-size=2",
} as const;
