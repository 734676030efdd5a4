import { readFileSync } from "node:fs";

/** Of this start of the machine: random(4). */
export function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}
