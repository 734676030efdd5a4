import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import {
  canonicalEntry,
  canonicalJson,
  chainHash,
  isCanonical,
  type Link,
  verifyChain,
} from "../../../shared/log/chain.ts";
import { GENESIS_HASH } from "../../../shared/log/cursor.ts";
import { parseEntry } from "../../../shared/log/entry.ts";
import { unseal } from "../../../shared/log/seal.ts";
import { porchlight } from "../../support/cli.ts";
import { enrolled, sampled, seeded, visit } from "../../support/facts.ts";
import { needsProgram } from "../../support/needs.ts";
import { python } from "../../support/python.ts";
import { testStore } from "../../support/store.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";

const format = suite("docs/log-format.md");
const page = readFileSync(new URL("../../../docs/log-format.md", import.meta.url), "utf8");
const VERIFIER = fileURLToPath(new URL("./verify.py", import.meta.url));
const SEED = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
const temp = tempFolder("log-format");
format.after(() => temp.remove());

/** A test vector: the fenced block of the page with this info string. */
function vector(info: string): string {
  const block = new RegExp(`^\`\`\`${info}\\n([\\s\\S]*?)^\`\`\`$`, "m").exec(page)?.[1];
  if (block === undefined) throw new Error(`the page has no block ${info}`);
  return block;
}

const lines = vector("jsonl log").trim().split("\n");
const hashes = vector("text hashes").trim().split("\n");
const emptied = vector("jsonl emptied").trim().split("\n");

interface Verdict {
  readonly status: number | null;
  readonly said: string;
}

/** What the verifier written from the page says of these lines. */
function verified(exported: readonly string[], ...args: readonly string[]): Verdict {
  const path = join(temp.path, "export.jsonl");
  writeFileSync(path, exported.map((line) => `${line}\n`).join(""));
  const { status, stdout, stderr } = python(VERIFIER, [path, ...args]);
  return { status, said: stdout.trim() + stderr };
}

format("its log hashes to its hashes, and our program reads it as it is", () => {
  let previous = GENESIS_HASH;
  for (const [i, line] of lines.entries()) {
    previous = chainHash(previous, line);
    assert.is(previous, hashes[i], `entry ${i + 1}`);
    assert.is(canonicalEntry(parseEntry(line)), line);
  }
  assert.is(hashes.length, 5);
});

format("its emptied log verifies with the same head; without the explanation it does not", () => {
  const links = (rows: readonly string[]): Link[] =>
    rows.map((line, i) => {
      const body = line.startsWith('{"hash"') ? null : line;
      return { seq: i + 1, hash: hashes[i] ?? "", body };
    });
  const { log } = parseEntry(lines[0] ?? "");
  const witness = { log, seq: 5, hash: hashes[4] ?? "", from: "the page" };
  assert.is(emptied[2], `{"hash":"${hashes[2]}","seq":3}`);
  const report = verifyChain(log, links(emptied), [witness]);
  assert.is(report.fault, null);
  assert.is(report.emptied, 1);
  assert.is(verifyChain(log, links(emptied.slice(0, 4)), []).fault?.kind, "emptied");
});

format("its canonical value is written as it says", () => {
  const line = vector("json canonical").trim();
  assert.is(canonicalJson(JSON.parse(line)), line);
  assert.ok(isCanonical(line));
});

format("its sealed field opens to its plaintext, in its own place", () => {
  const given: Record<string, string> = JSON.parse(vector("json sealed"));
  const { key = "", nonce = "", ciphertext = "", tag = "", plaintext } = given;
  const entry = parseEntry(lines[1] ?? "");
  const sealed = Buffer.from(nonce + ciphertext + tag, "hex").toString("base64");
  assert.is(entry.sealed?.profile, sealed);
  const { log, seq, type, subject } = entry;
  const place = { log, seq, type, subject: subject ?? "", class: "profile" } as const;
  assert.is(given["additional"], canonicalJson([log, seq, type, subject, "profile"]));
  assert.is(unseal(Buffer.from(key, "hex"), place, sealed).toString("utf8"), plaintext);
});

format("a verifier written from it finds the page's own logs whole", () => {
  if (!needsProgram("python3", "python3")) return;
  for (const log of [lines, emptied]) {
    assert.equal(verified(log), { status: 0, said: `whole 5:${hashes[4]}` });
    assert.is(verified(log, "--head", `5:${hashes[4]}`).status, 0);
  }
  assert.is(verified(lines.slice(2), "--after", `2:${hashes[1]}`).said, `whole 5:${hashes[4]}`);
  assert.match(verified(emptied.slice(0, 4)).said, "entry 3: emptied");
  assert.match(verified(lines.slice(0, 4), "--head", `5:${hashes[4]}`).said, "entry 5: missing");
});

/** A number of any size, a small one, or one that ends where the writing of numbers changes. */
function oddNumber(random: () => number): number {
  const view = new DataView(new ArrayBuffer(8));
  for (let i = 0; i < 8; i++) view.setUint8(i, Math.floor(random() * 256));
  const any = view.getFloat64(0);
  const edges = [1e21, 1e-7, 1e-6, 123456789012345680000, -0, 5e-324, 2 ** 53, 0.1 + 0.2];
  const choice = Math.floor(random() * 3);
  if (choice === 0 && Number.isFinite(any)) return any;
  return choice === 1 ? random() * 1_000 : (edges[Math.floor(random() * edges.length)] ?? 0);
}

/** Names of metrics from all planes, quotes and control characters among them. */
function oddName(random: () => number): string {
  const points = [0x22, 0x5c, 0x0a, 0x1f, 0x7f, 0xe9, 0x2028, 0x20ac, 0xfb33, 0x1f600, 0x41];
  const length = 1 + Math.floor(random() * 6);
  return Array.from({ length }, () =>
    String.fromCodePoint(points[Math.floor(random() * points.length)] ?? 0x41),
  ).join("");
}

/** A log with everything in it that is hard to write down, as `porchlight log export` prints it. */
async function exported(): Promise<{ readonly rows: string[]; readonly head: string }> {
  const random = seeded(SEED);
  const at = testStore();
  const person = "7d8e4f6c-50c5-4a6b-9a3e-2a1b7f0d9c22";
  at.store.append([enrolled(person, 'Käthe "K" \u2028 😀')]);
  at.store.append(visit("9d8e4f6c-50c5-4a6b-9a3e-2a1b7f0d9c22", person));
  for (let i = 0; i < 40; i++) {
    const names = Array.from({ length: 12 }, () => oddName(random));
    const metrics = Object.fromEntries(names.map((name) => [name, oddNumber(random)]));
    at.store.append([{ ...sampled(0), data: { metrics } }]);
  }
  const { seq, hash } = at.store.log.head();
  const { folder, logKey } = at.options;
  at.store.close();
  const keyFile = join(folder, "log-key");
  writeFileSync(keyFile, logKey, { mode: 0o600 });
  const environment = { PORCHLIGHT_LOG_KEY_FILE: keyFile };
  const { out, err, code } = await porchlight(["log", "export", "--data", folder], environment);
  at.remove();
  assert.is(code, 0, err);
  assert.ok(out.endsWith("\n"));
  return { rows: out.slice(0, -1).split("\n"), head: `${seq}:${hash}` };
}

format(`the verifier agrees with our program on a real export (SEED=${SEED})`, async () => {
  if (!needsProgram("python3", "python3")) return;
  const { rows, head } = await exported();
  assert.equal(verified(rows, "--head", head), { status: 0, said: `whole ${head}` });
});

format("the verifier names the first bad entry of an export that was tampered with", async () => {
  if (!needsProgram("python3", "python3")) return;
  const { rows, head } = await exported();
  const row = (seq: number): string => rows[seq - 1] ?? "";
  const replaced = (seq: number, line: string): string[] => rows.toSpliced(seq - 1, 1, line);
  const said = (changed: readonly string[]): string => verified(changed, "--head", head).said;
  const last = rows.length;
  assert.match(said(rows.toSpliced(9, 1)), "entry 10: entry 11 stands in its place");
  assert.match(said(replaced(10, row(11)).toSpliced(10, 1, row(10))), "entry 10: entry 11 stands");
  assert.match(said(rows.slice(0, -1)), `entry ${last}: missing`);
  const other = row(3).replace('"camera":"door"', '"camera":"gate"');
  assert.match(said(replaced(3, other)), `entry ${last}: the head that was noted is another`);
  assert.match(said(replaced(3, row(3).replace(",", ", "))), "entry 3: not canonical JSON");
  assert.match(
    said(replaced(3, row(3).replace('"seq":3', '"seq":3,"so":1'))),
    "entry 3: not the ten",
  );
  const elsewhere = row(3).replace(/"log":"[0-9a-f]/, (start) =>
    start.endsWith("0") ? start.replace(/.$/, "1") : start.replace(/.$/, "0"),
  );
  assert.match(said(replaced(3, elsewhere)), "entry 3: it is of another log");
  const hash = "0".repeat(64);
  assert.match(
    verified(replaced(last, `{"hash":"${hash}","seq":${last}}`)).said,
    "emptied, and no",
  );
  assert.match(said(rows.slice(1)), "entry 1: entry 2 stands in its place");
});

format.run();
