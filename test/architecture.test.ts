/** The rooms of the house, and who may import whom: the one table, and ARCHITECTURE.md's picture. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import * as assert from "uvu/assert";
import { suite } from "./support/suite.ts";

/**
 * A room and the rooms that it may import, besides shared/ and itself. A room's `config.ts` is its
 * slice of the configuration and belongs to the room `config` of its side: it holds a schema alone.
 */
const EDGE = table("edge", {
  // What a process is on this machine, and what it was told.
  host: "",
  config: "host",
  // Leaves: they know no store.
  camera: "config",
  doorbell: "config",
  "vision/onnx": "",
  vision: "config vision/onnx",
  "vision/convert": "vision/onnx",
  "vision/packs": "host vision vision/convert",
  recognition: "vision vision/onnx",
  media: "config host vision",
  evaluate: "recognition vision",
  // log.db and vault.db, and what joins them.
  sqlite: "host",
  log: "host sqlite",
  vault: "host log media recognition sqlite",
  store: "host log media recognition sqlite vault",
  // Processes and commands.
  feed: "host log sqlite vault",
  sync: "",
  agent: "config host media sync",
  relay: "camera host",
  daemon: "camera config doorbell feed host log media recognition sqlite store vault vision",
  demo: "config daemon feed host recognition store vault vision",
  install: "config host",
  cli: "agent camera config demo doorbell evaluate feed host install log recognition relay sqlite store sync vault vision vision/packs",
  "main.ts": "daemon",
});

const CENTRE = table("cloud-sync", {
  config: "",
  host: "config",
  postgres: "config host",
  objects: "config host",
  fairness: "",
  mqtt: "config fairness host",
  http: "fairness host",
  log: "postgres",
  ingest: "fairness log mqtt",
  fleet: "fairness host postgres",
  keyring: "config host mqtt postgres",
  uploads: "config fairness host http mqtt objects postgres",
  lifecycle: "log objects postgres",
  backup: "config host objects postgres",
  // What a sink is; what every sink may use; one room a store; what runs them.
  "sinks/sink.ts": "log",
  "sinks/projection.ts": "log postgres sinks/sink.ts",
  "sinks/support": "log postgres sinks/projection.ts sinks/sink.ts",
  "sinks/*": "keyring log postgres sinks/projection.ts sinks/sink.ts sinks/support",
  "sinks/runner": "log postgres sinks/projection.ts sinks/sink.ts",
  "sinks/registry.ts":
    "config keyring log postgres sinks/* sinks/projection.ts sinks/runner sinks/sink.ts sinks/support",
  // Readers are no sinks.
  queries: "keyring objects postgres",
  api: "config fairness host http ingest keyring mqtt postgres sinks/runner uploads",
  "centre.ts":
    "api backup config fairness fleet host ingest keyring lifecycle log mqtt objects postgres sinks/registry.ts sinks/runner uploads",
  cli: "backup centre.ts config fleet host keyring lifecycle log mqtt objects postgres queries sinks/registry.ts sinks/runner",
});

const SHARED = table("shared", {
  core: "",
  log: "core",
  protocol: "core log",
  cli: "core",
});

const ROOMS = { ...SHARED, ...EDGE, ...CENTRE };

/**
 * What a process may reach in all, whatever it starts with: the rooms that it must never load. Of
 * `config` it gets everything: a slice is a schema.
 */
const PROCESSES: Readonly<Record<string, { readonly never: readonly string[] }>> = {
  // Has the network: no key, no database, no face, no camera.
  "edge/agent/main.ts": {
    never: [
      "edge/camera",
      "edge/cli",
      "edge/daemon",
      "edge/doorbell",
      "edge/feed",
      "edge/log",
      "edge/recognition",
      "edge/sqlite",
      "edge/store",
      "edge/vault",
      "edge/vision",
    ],
  },
  // Has one camera's address: no store and no key.
  "edge/relay/main.ts": {
    never: [
      "edge/agent",
      "edge/cli",
      "edge/daemon",
      "edge/log",
      "edge/sqlite",
      "edge/store",
      "edge/sync",
      "edge/vault",
      "edge/vision",
    ],
  },
  // Sees faces: no way to a network, and none of the tools that make model packs.
  "edge/main.ts": {
    never: ["edge/agent", "edge/cli", "edge/sync", "edge/vision/convert", "edge/vision/packs"],
  },
};

/** A verifier elsewhere runs it: no disk, no network, no process. */
const NOT_IN_SHARED = /^node:(fs|fs\/promises|net|tls|http|https|http2|dgram|dns|child_process)$/;

const IMPORT =
  /^(?:import|export)\b[^"';]*?\bfrom "([^"]+)"|^import "([^"]+)"|\bimport\("([^"]+)"\)/gm;

interface Source {
  readonly path: string;
  readonly imports: readonly string[];
}

const sources = new Map<string, Source>(
  ["cloud-sync", "edge", "shared"].flatMap((side) =>
    readdirSync(side, { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts"))
      .map((path) => {
        const file = join(side, path);
        return [file, { path: file, imports: importsOf(file) }] as const;
      }),
  ),
);

/** Packages as they are named; files as paths from here. */
function importsOf(file: string): string[] {
  return [...readFileSync(file, "utf8").matchAll(IMPORT)].map(([, ...found]) => {
    const name = found.find((each) => each !== undefined) ?? "";
    if (!name.startsWith(".")) return name;
    const path = join(dirname(file), name);
    return existsSync(path) ? path : path.replace(/\.js$/, ".ts");
  });
}

function roomOf(path: string): string {
  const [side = "", room = "", inner = ""] = path.split("/");
  const own = basename(path) === "config.ts";
  if (own && side !== "shared" && room !== "cli") return `${side}/config`;
  if (room.endsWith(".ts")) return path;
  const nested = `${side}/${room}/${inner}`;
  if (nested in ROOMS) return nested;
  if (side === "cloud-sync" && room === "sinks") return "cloud-sync/sinks/*";
  return `${side}/${room}`;
}

/** Rooms of one side, and the rooms of that side that each may import. */
function table(
  side: string,
  may: Readonly<Record<string, string>>,
): Readonly<Record<string, readonly string[]>> {
  const named = Object.entries(may).map(([room, others]) => [
    `${side}/${room}`,
    others
      .split(" ")
      .filter(Boolean)
      .map((other) => `${side}/${other}`),
  ]);
  return Object.fromEntries(named);
}

const rooms = suite("the rooms");

rooms("are all in the table, and none is in it that is not there", () => {
  const there = new Set([...sources.keys()].map(roomOf));
  assert.equal([...there].sort(), Object.keys(ROOMS).sort());
});

rooms("import only what they may", () => {
  const wrong = [...sources.values()].flatMap(({ path, imports }) => {
    const room = roomOf(path);
    const may = ROOMS[room] ?? [];
    return imports
      .filter((name) => sources.has(name))
      .filter((name) => {
        const other = roomOf(name);
        const common = other.startsWith("shared/") && !room.startsWith("shared/");
        return other !== room && !common && !may.includes(other);
      })
      .map((name) => `${path} → ${name}`);
  });
  assert.equal(wrong, []);
});

rooms("may import nothing that nobody of them imports", () => {
  const used = new Set(
    [...sources.values()].flatMap(({ path, imports }) =>
      imports
        .filter((name) => sources.has(name))
        .map((name) => `${roomOf(path)} → ${roomOf(name)}`),
    ),
  );
  const idle = Object.entries(ROOMS).flatMap(([room, may]) =>
    may.filter((other) => !used.has(`${room} → ${other}`)).map((other) => `${room} → ${other}`),
  );
  assert.equal(idle, []);
});

rooms("import one way: from none is there a way back to it", () => {
  const reach = (room: string, seen: Set<string>): Set<string> => {
    for (const next of ROOMS[room] ?? []) {
      if (seen.has(next)) continue;
      seen.add(next);
      reach(next, seen);
    }
    return seen;
  };
  const circular = Object.keys(ROOMS).filter((room) => reach(room, new Set()).has(room));
  assert.equal(circular, []);
});

rooms("of the configuration are schemas: they open nothing", () => {
  const slices = [...sources.values()].filter(
    ({ path }) => basename(path) === "config.ts" && roomOf(path).endsWith("/config"),
  );
  assert.ok(slices.length > 10);
  for (const { path, imports } of slices) {
    const others = imports.filter((name) => name !== "zod" && !name.startsWith("shared/"));
    const beyond = others.filter(
      (name) => !/(\/config\.ts|config\/(server-url|s3-account)\.ts)$/.test(name),
    );
    assert.equal(beyond, [], path);
  }
});

for (const [entry, { never }] of Object.entries(PROCESSES)) {
  rooms(`${entry} reaches nothing that its process must not have`, () => {
    const reached = new Map<string, string>();
    const visit = (path: string, by: string): void => {
      if (reached.has(path)) return;
      reached.set(path, by);
      for (const name of sources.get(path)?.imports ?? []) if (sources.has(name)) visit(name, path);
    };
    assert.ok(sources.has(entry), `there is no ${entry}`);
    visit(entry, "");
    const wrong = [...reached]
      .filter(([path]) => never.includes(roomOf(path)))
      .map(([path, by]) => `${by} → ${path}`);
    assert.equal(wrong, []);
  });
}

rooms("of shared/ have no disk, no network and no process", () => {
  const wrong = [...sources.values()]
    .filter(({ path }) => path.startsWith("shared/"))
    .flatMap(({ path, imports }) =>
      imports.filter((name) => NOT_IN_SHARED.test(name)).map((name) => `${path} → ${name}`),
    );
  assert.equal(wrong, []);
});

rooms("leave at most four files at the top of each side", () => {
  for (const side of ["edge", "cloud-sync", "shared"]) {
    const loose = readdirSync(side).filter((name) => name.endsWith(".ts"));
    assert.ok(loose.length <= 2, `${side}: ${loose.join(", ")}`);
  }
});

rooms("are those that ARCHITECTURE.md describes, one row each", () => {
  const page = readFileSync("ARCHITECTURE.md", "utf8");
  const described = [...page.matchAll(/^\| `([a-z-]+\/[\w./*-]+)` \|/gm)].map(([, room]) => room);
  assert.equal([...described].sort(), Object.keys(ROOMS).sort());
});

rooms.run();
