/**
 * Keeps a program on the Node.js it was tested with: the one that package.json pins. Every entry
 * file asks here before it imports anything else, because the native modules of the wrong Node.js
 * end the process with a segmentation fault. So this file and they load on Node.js 18 as well.
 */
import { fileURLToPath } from "node:url";

/** What of the machine is looked at: an entry file hands it over. */
export interface Machine {
  readonly process: Pick<
    NodeJS.Process,
    "arch" | "argv" | "env" | "execArgv" | "execPath" | "execve" | "exit" | "stderr" | "versions"
  >;
  /** Of node:fs. */
  readonly fs: {
    readonly constants: { readonly X_OK: number };
    accessSync(path: string, mode: number): void;
    readFileSync(path: URL, encoding: "utf8"): string;
    realpathSync(path: string): string;
  };
}

export interface Program {
  /** As a person calls it. */
  readonly name: string;
  /** URL of a file of the program: package.json stands in a folder above it. */
  readonly entry: string;
  /** The command in bin/ that starts it; a service has none. */
  readonly command?: "porchlight" | "porchlight-cloud";
}

export interface Runtime {
  /** The version of the program. */
  readonly version: string;
  /** The Node.js that this process runs on. */
  readonly node: string;
  readonly nodePath: string;
  /** Whether that is the one that came with the program. */
  readonly own: boolean;
  /** The version that package.json pins. */
  readonly pinned: string;
}

/** EX_CONFIG of sysexits.h: systemd does not start again what ends with it. */
const CONFIG_EXIT = 78;
/** Of SQLite's binding, which crashes on an older one. */
const SYSTEM_NODE_MIN = 22;

/** The Node.js this process runs on, and the version of the program. */
export function runtimeOf(entry: string, machine: Machine): Runtime {
  const { execPath, versions } = machine.process;
  const { version, pinned, own } = installed(entry, machine);
  return {
    version,
    node: versions.node,
    nodePath: execPath,
    own: isSame(own, execPath, machine),
    pinned,
  };
}

/** For people: "Node.js 26.12.1 (its own)". */
export function runtimeWords({ node, nodePath, own, pinned }: Runtime): string {
  if (own) return `Node.js ${node} (its own)`;
  const same = node === pinned ? "the version of its own" : `its own is ${pinned}`;
  return `Node.js ${node} (${nodePath}; ${same})`;
}

/**
 * True where the program may go on. On another Node.js it replaces this process by itself on its
 * own (execve(2): arguments, environment, standard streams and process number stay), or ends with
 * one line and exit code 78 where it cannot.
 */
export function isOnOwnRuntime(program: Program, machine: Machine): boolean {
  const { process: host } = machine;
  const { root, pinned, own } = installed(program.entry, machine);
  const node = host.versions.node;
  if (node === pinned) return true;
  const fail = (reason: string): false => {
    host.stderr.write(`${program.name}: ${reason}\n`);
    host.exit(CONFIG_EXIT);
    return false;
  };
  if (host.env["PORCHLIGHT_NODE"] === "system") {
    if (Number(node.split(".")[0]) >= SYSTEM_NODE_MIN) return true;
    return fail(
      `the system's Node.js is ${node}, and ${SYSTEM_NODE_MIN} is the oldest that works; without PORCHLIGHT_NODE=system it runs on its own ${pinned}`,
    );
  }
  if (isSame(own, host.execPath, machine)) {
    return fail(
      `${own} is Node.js ${node}, and ${pinned} belongs to this version; run: (cd '${root}' && npm run setup)`,
    );
  }
  if (!isExecutable(own, machine)) {
    return fail(
      `its own Node.js ${pinned} is not installed (${own}), and this is ${node}; run: (cd '${root}' && npm run setup)`,
    );
  }
  if (host.execve === undefined) {
    const starter = `${root}/bin/${program.command ?? "node"}`;
    const start = isExecutable(starter, machine) ? starter : own;
    const file = program.command !== undefined && start !== own ? "" : ` ${host.argv[1]}`;
    return fail(
      `runs on its own Node.js ${pinned}, this is ${node}: start it with ${start}${file}`,
    );
  }
  host.execve(own, [own, ...host.execArgv, ...host.argv.slice(1)], host.env);
  return false;
}

interface Installed {
  readonly root: string;
  readonly version: string;
  readonly pinned: string;
  /** The path of the bundled Node.js, installed or not. */
  readonly own: string;
}

/** package.json stands one folder or more above the sources, and above the compiled files. */
function installed(entry: string, machine: Machine): Installed {
  const { process: host, fs } = machine;
  const runtime = `node-linux-${host.arch}`;
  for (let folder = new URL(".", entry), inner = ""; folder.href !== inner; ) {
    const text = readIfThere(new URL("package.json", folder), fs);
    if (text !== null) {
      const { version, optionalDependencies } = JSON.parse(text);
      const root = fileURLToPath(folder).replace(/\/$/, "");
      const pinned = optionalDependencies?.[runtime] ?? host.versions.node;
      // A clone has it from npm; a package of a distribution puts it into bin/.
      const module = `${root}/node_modules/${runtime}/bin/node`;
      const packaged = `${root}/bin/node`;
      const own = [module, packaged].find((file) => isExecutable(file, machine)) ?? module;
      return { root, version, pinned, own };
    }
    [inner, folder] = [folder.href, new URL("..", folder)];
  }
  throw new Error(`no package.json above ${entry}`);
}

function readIfThere(file: URL, { readFileSync }: Machine["fs"]): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null;
  }
}

function isExecutable(file: string, { fs }: Machine): boolean {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function isSame(one: string, other: string, { fs }: Machine): boolean {
  try {
    return fs.realpathSync(one) === fs.realpathSync(other);
  } catch {
    return false;
  }
}
