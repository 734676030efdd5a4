import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { chainHash, isCanonical, type Link, seqOf, verifyChain } from "../../shared/chain.ts";
import { GENESIS_HASH } from "../../shared/cursor.ts";
import { unseal } from "../../shared/seal.ts";
import { enrolled, sampled, visit } from "../support/facts.ts";
import { needsProgram } from "../support/needs.ts";
import { python } from "../support/python.ts";
import { testStore } from "../support/store.ts";
import { tempFolder } from "../support/temp.ts";

const format = suite("the log format, as its page says");
const page = readFileSync("docs/log-format.md", "utf8");
const folder = tempFolder("log-format");
format.after(() => folder.remove());

function vector(name: string): string {
  const block = new RegExp(`^\`\`\`${name}\\n([\\s\\S]*?)\\n\`\`\`$`, "m").exec(page)?.[1];
  assert.ok(block, `the page has the vector ${name}`);
  return block;
}
const lines = vector("lines").split("\n");
const hashes = vector("hashes")
  .split("\n")
  .map((line) => line.split(" ")[1] ?? "");

/** What a stranger's verifier says of these lines. */
function strangerSays(text: string): { readonly ok: boolean; readonly says: string } {
  const file = join(folder.path, "exported.log");
  writeFileSync(file, text);
  const { status, stdout, stderr } = python("test/log/verify.py", [file]);
  return { ok: status === 0, says: `${stdout}${stderr}`.trim() };
}

format("the lines of the page are canonical and hash to what it says", () => {
  let hash = GENESIS_HASH;
  for (const [i, line] of lines.entries()) {
    assert.ok(isCanonical(line), line);
    assert.is(seqOf(line), i + 1);
    hash = chainHash(hash, line);
    assert.is(hash, hashes[i]);
  }
});

format("the emptied log of the page verifies, and not without its buffer.shed", () => {
  const links = vector("emptied")
    .split("\n")
    .map((line, i): Link => {
      const { hash } = JSON.parse(line) as { hash?: string };
      return { seq: i + 1, hash: hashes[i] ?? "", body: hash === undefined ? line : null };
    });
  assert.is(links.filter(({ body }) => body === null).length, 1);
  assert.is(verifyChain(links, []).fault, null);
  assert.is(verifyChain(links.slice(0, 3), []).fault?.kind, "emptied");
});

format("the sealed name of the page opens with the key it gives", () => {
  const seal = JSON.parse(vector("seal")) as Record<string, string>;
  const [log, seq, type, subject, personalClass] = JSON.parse(seal["additionalData"] ?? "");
  const place = { log, seq, type, subject, class: personalClass };
  const key = Buffer.from(seal["key"] ?? "", "hex");
  assert.is(unseal(key, place, seal["sealed"] ?? "").toString(), seal["plain"]);
  assert.is(JSON.parse(lines[1] ?? "").sealed.profile, seal["sealed"]);
});

if (needsProgram("python3", "python3")) {
  format("a verifier written from the page agrees with the page", () => {
    const head = `4 ${hashes[3]}`;
    assert.equal(strangerSays(`${lines.join("\n")}\n`), { ok: true, says: head });
    assert.equal(strangerSays(`${vector("emptied")}\n`), { ok: true, says: head });
  });

  format("it agrees with us about a real log, and names what was tampered with", () => {
    const { store, remove } = testStore();
    const person = "5f2d7a90-8c1b-4e3d-a2f4-917c6e5b4d3c";
    store.append([
      enrolled(person, "Ada"),
      sampled(1e-7),
      sampled(1.1e-5),
      sampled(0.1 + 0.2),
      sampled(1e300),
    ]);
    for (let i = 0; i < 5; i++) {
      store.append(visit(`00000000-0000-4000-8000-00000000000${i}`, person));
    }
    const exported = store.log.readAfter(0, 1_000).map(({ body }) => body ?? "");
    const { seq, hash } = store.log.head();
    remove();
    assert.equal(strangerSays(exported.join("\n")), { ok: true, says: `${seq} ${hash}` });

    const without = exported.filter((_, i) => i !== 6);
    assert.match(strangerSays(without.join("\n")).says, /^entry 7: seq 8 stands in its place/);
    const spaced = exported.with(3, (exported[3] ?? "").replace(":", ": "));
    assert.match(strangerSays(spaced.join("\n")).says, /^entry 4: not canonical/);
    const changed = exported.with(8, (exported[8] ?? "").replace("device", "cli:eve"));
    const said = strangerSays(changed.join("\n"));
    assert.not.match(said.says, hash, "another head than the one that was noted");
    const emptied = exported.with(2, JSON.stringify({ hash: "0".repeat(64), seq: 3 }));
    assert.match(strangerSays(emptied.join("\n")).says, /^entry 3: emptied/);
  });
}

format.run();
