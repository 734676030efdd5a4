import { spawn } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { collect, type Ran, userEnvironment } from "../support/cli.ts";
import { needsProgram } from "../support/needs.ts";
import { bundledPeople, writePhotos, writeScenes } from "../support/people.ts";
import { suite } from "../support/suite.ts";
import { tempFolder } from "../support/temp.ts";

/**
 * Nothing phones home: not the program, not the runtime of the nets, not a library's telemetry.
 * The kernel is asked, not the program: strace sees every socket of every thread and child.
 */
const quiet = suite("nothing phones home");
const PROGRAM = fileURLToPath(new URL("../../dist/edge/cli/porchlight.js", import.meta.url));
const NETWORK = "socket,connect,bind,sendto,sendmsg,sendmmsg,io_uring_setup";
const PERSON = "Ada";
const folder = tempFolder("quiet");
const at = (...path: string[]): string => join(folder.path, ...path);

/** A user who has nothing yet, and nothing that tells a library to behave, such as CI. */
function emptyHome(): Record<string, string> {
  for (const name of ["home", "tmp"]) {
    rmSync(at(name), { recursive: true, force: true });
    mkdirSync(at(name));
  }
  // Rings of the kernel would hide calls from the trace: libuv uses one for epoll unless told not to.
  return { HOME: at("home"), TMPDIR: at("tmp"), UV_USE_IO_URING: "0" };
}

interface Traced extends Ran {
  /** Calls of the kernel that reach, or could reach, beyond this machine. */
  readonly calls: readonly string[];
  /** What lies in the home folder afterwards. */
  readonly left: readonly string[];
}

async function traced(program: string, args: readonly string[]): Promise<Traced> {
  const own = Object.entries(userEnvironment()).filter(([name]) => !name.startsWith("XDG_"));
  const env = { ...Object.fromEntries(own), ...emptyHome() };
  const trace = at("trace");
  const strace = ["-f", "--seccomp-bpf", "-qq", "-s", "64", "-e", `trace=${NETWORK}`, "-o", trace];
  const child = spawn("strace", [...strace, program, ...args], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ran = await collect(child);
  const calls = readFileSync(trace, "utf8").split("\n").filter(reachesOut);
  return { ...ran, calls, left: readdirSync(at("home"), { recursive: true, encoding: "utf8" }) };
}

/** AF_UNIX stays on the machine: the C library asks for user names there. */
function reachesOut(call: string): boolean {
  if (/\bio_uring_setup\(/.test(call)) return true;
  if (/\bsocket\(/.test(call)) return !/\bsocket\(AF_(UNIX|LOCAL),/.test(call);
  return /sa_family=AF_(?!UNIX|LOCAL)/.test(call);
}

const porchlight = (...args: string[]): Promise<Traced> =>
  traced(process.execPath, [PROGRAM, ...args]);

function isQuiet(ran: Traced, codes: readonly number[] = [0]): void {
  assert.ok(codes.includes(ran.code ?? -1), `exit ${ran.code}: ${ran.err}`);
  assert.equal(ran.calls, [], "no socket but of this machine");
  assert.equal(ran.left, [], "no file in the home folder");
}

const here = needsProgram("strace", "strace");

quiet.before(async () => {
  if (!here) return;
  const people = (await bundledPeople()).slice(0, 2);
  writePhotos(people, at("photos"));
  await writeScenes(people, at("scenes"), 4);
  const camera = `{kind: files, name: door, paths: [${at("scenes")}], everyFrame: true}`;
  writeFileSync(at("porchlight.yaml"), `data: ${at("data")}\ncamera: ${camera}\n`);
});
quiet.after(() => folder.remove());

quiet("the test itself sees a program that does", async () => {
  if (!here) return;
  const code = `require("node:net").connect(9, "127.0.0.1").on("error", () => {});
    require("node:fs").writeFileSync(process.env.HOME + "/.uid", "1");`;
  const ran = await traced(process.execPath, ["-e", code]);
  assert.ok(ran.calls.some((call) => /socket\(AF_INET/.test(call)));
  assert.ok(ran.calls.some((call) => /connect\(.*sin_port=htons\(9\)/.test(call)));
  assert.equal(ran.left, [".uid"]);
});

quiet("making a store, enrolling, identifying and looking around are silent", async () => {
  if (!here) return;
  const config = ["--config", at("porchlight.yaml")];
  const photos = at("photos", PERSON);
  isQuiet(await porchlight("init", ...config));
  isQuiet(await porchlight("enroll", PERSON, photos, ...config));
  isQuiet(await porchlight("identify", photos, ...config));
  isQuiet(await porchlight("identify", photos, "--gallery", at("photos")), [0, 2]);
  isQuiet(await porchlight("evaluate", "--images", at("photos")));
  isQuiet(await porchlight("models", "verify"));
  isQuiet(await porchlight("models", "list"));
  isQuiet(await porchlight("models", "reembed", "default", ...config));
  isQuiet(await porchlight("doctor", ...config));
});

quiet("the daemon is silent from start to end", async () => {
  if (!here) return;
  const ran = await porchlight("start", "--config", at("porchlight.yaml"));
  isQuiet(ran);
  assert.match(ran.out, /visit\.ended/);
});

quiet("building the default pack downloads nothing", async () => {
  if (!here) return;
  writeFileSync(at("own.yaml"), `data: ${at("data")}\nmodels: {directory: ${at("models")}}\n`);
  isQuiet(await porchlight("models", "build", "--config", at("own.yaml")));
});

quiet("the demo draws its contact sheet and leaves nothing in the home folder", async () => {
  if (!here) return;
  isQuiet(await porchlight("demo", "--no-centre", "--data", at("demo")));
});

quiet("with a centre beside it, the demo speaks to this machine alone", async () => {
  if (!here) return;
  chmodSync(folder.path, 0o755);
  const ran = await porchlight("demo", "--data", at("demo"), "--json");
  assert.is(ran.code, 0, ran.err);
  assert.ok(JSON.parse(ran.out).centre.whole);
  const named = ran.calls.filter((call) => /sin6?_addr/.test(call));
  assert.ok(named.length > 0, "the agent has connected to the broker");
  const loopback = /inet_addr\("127\.0\.0\.1"\)|inet_pton\(AF_INET6, "::1"/;
  assert.equal(
    named.filter((call) => !loopback.test(call)),
    [],
  );
  assert.equal(ran.left, []);
});

quiet.run();
