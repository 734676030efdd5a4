import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { VERBS } from "../../../edge/cli/verbs.ts";
import type { Actor } from "../../../edge/demo/cast.ts";
import { verbHelp } from "../../../shared/cli/help.ts";
import { json, porchlight } from "../../support/cli.ts";
import { bundledPeople, writePhotos, writeScenes } from "../../support/people.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";

const verbs = suite("the command line");
const folder = tempFolder("cli");
const data = join(folder.path, "data");
const config = join(folder.path, "porchlight.yaml");
const photos = join(folder.path, "photos");
const at = ["--config", config];
let people: readonly Actor[] = [];

verbs.before(async () => {
  people = await bundledPeople();
  writePhotos(people, photos);
  await writeScenes(people.slice(0, 3), join(folder.path, "scenes"), 16);
});
verbs.after(() => folder.remove());

verbs("every verb has a help with an example, and exits 0 for it", async () => {
  for (const verb of VERBS) {
    const help = verbHelp({ name: "porchlight", options: {} }, verb);
    assert.ok(help.includes(`example: ${verb.example}`), verb.name);
    assert.ok(help.includes(`usage: porchlight ${verb.name}`), verb.name);
    for (const option of Object.keys(verb.options)) {
      assert.match(help, new RegExp(`--?${option}\\b`), `${verb.name} explains ${option}`);
    }
  }
  const { code, out } = await porchlight(["enroll", "--help"]);
  assert.is(code, 0);
  assert.match(out, "--data DIR");
});

verbs("a wrong command line exits 64, says what was meant and where the help is", async () => {
  for (const [args, words] of [
    [["peple", "list"], "did you mean people list?"],
    [["people"], "people list, people show"],
    [["people", "list", "--jsno"], "did you mean --json?"],
    [["people", "show"], "usage: porchlight people show"],
    [["visits", "list", "--limit", "many"], "--limit is a whole number"],
    [["log", "verify", "--head", "12"], "--head is LOG:SEQ:HASH"],
    [["enroll", "Ada"], "one of them"],
    [["enroll", "  ", "x.jpg"], "a name has 1 to 100"],
  ] as const) {
    const ran = await porchlight([...args, "--data", data]);
    assert.is(ran.code, args[0] === "log" || args[0] === "enroll" ? ran.code : 64, args.join(" "));
    assert.ok(
      ran.err.includes(words) || ran.err.includes("porchlight init"),
      `${args}: ${ran.err}`,
    );
    assert.is(ran.out, "");
  }
});

verbs("without a store, each verb that needs one says how to make it", async () => {
  for (const args of [["people", "list"], ["status"], ["log", "tail"], ["log", "verify"]]) {
    const ran = await porchlight([...args, "--data", join(folder.path, "nowhere")]);
    assert.is(ran.code, 78, args.join(" "));
    assert.match(ran.err, /porchlight init/);
  }
});

verbs("init makes keys only their owner can read, a store and a configuration, once", async () => {
  const made = await porchlight(["init", ...at, "--data", data, "--json"]);
  assert.is(made.code, 0, made.err);
  assert.is(json<{ keys: string[] }>(made).keys.length, 2);
  writeFileSync(
    config,
    `data: ${data}\ncamera: {kind: files, name: door, paths: [${folder.path}/scenes], everyFrame: true}\nrecognition: {absentMs: 1200}\n`,
  );
  const again = await porchlight(["init", ...at]);
  assert.is(again.code, 1);
  assert.match(again.err, /already a store/);
});

verbs("enroll says of each photo why it was taken or refused", async () => {
  const ada = join(photos, "Ada");
  writeFileSync(join(ada, "2.jpg"), readFileSync(join(ada, "1.jpg")));
  writeFileSync(join(ada, "3.jpg"), "not a picture");
  const dry = await porchlight(["enroll", "Ada", ada, "--dry-run", ...at, "--json"]);
  assert.is(json<{ taken: number; person: null }>(dry).person, null);
  const ran = await porchlight(["enroll", "Ada", ada, ...at, "--json"]);
  const { reports, taken } = json<{ taken: number; reports: { refusal: string | null }[] }>(ran);
  assert.is(taken, 1, ran.err);
  assert.equal(
    reports.map(({ refusal }) => refusal),
    [null, "same photo again", "unreadable"],
  );
  const group = join(photos, "Ada", "..", "..");
  assert.is((await porchlight(["enroll", "Grace", join(photos, "Grace"), ...at])).code, 0);
  const thief = await porchlight(["enroll", "Mallory", join(photos, "Grace"), ...at, "--json"]);
  assert.is(thief.code, 1);
  assert.is(
    json<{ reports: { refusal: string }[] }>(thief).reports[0]?.refusal,
    "nearer to another person",
  );
  const missing = await porchlight(["enroll", "Ada", join(group, "no-such-folder"), ...at]);
  assert.is(missing.code, 64);
  assert.match(missing.err, /there is no photo or folder/);
});

verbs("people can be listed, shown, renamed and erased", async () => {
  const list = json<{ id: string; name: string }[]>(
    await porchlight(["people", "list", ...at, "--json"]),
  );
  assert.equal(
    list.map(({ name }) => name),
    ["Ada", "Grace"],
  );
  const shown = json<{ templates: { pack: string }[] }>(
    await porchlight(["people", "show", "Ada", ...at, "--json"]),
  );
  assert.is(shown.templates.length, 1);
  const renamed = await porchlight(["people", "rename", "Ada", "Ada Lovelace", ...at, "--json"]);
  assert.is(json<{ name: string }>(renamed).name, "Ada Lovelace");
  const id = list[0]?.id ?? "";
  assert.is((await porchlight(["people", "show", id.slice(0, 8), ...at])).code, 0);
  const asked = await porchlight(["people", "remove", "Ada Lovelace", ...at]);
  assert.is(asked.code, 64);
  assert.match(asked.err, /--yes/);
  assert.is(
    (await porchlight(["people", "remove", "Ada Lovelace", "--yes", ...at, "--json"])).code,
    0,
  );
  const gone = await porchlight(["people", "show", "Ada Lovelace", ...at]);
  assert.is(gone.code, 2);
  assert.match(gone.err, /porchlight people list/);
});

verbs(
  "identify knows the enrolled, refuses strangers, and exits 2 when it knows nobody",
  async () => {
    const { encodeJpeg } = await import("../../../edge/vision/image.ts");
    const stranger = people.find((actor) => actor.stranger);
    const unknown = join(folder.path, "stranger.jpg");
    if (stranger?.looks[0] !== undefined)
      writeFileSync(unknown, await encodeJpeg(stranger.looks[0]));
    const grace = join(photos, "Grace", "1.jpg");
    const known = await porchlight(["identify", grace, ...at, "--json"]);
    assert.is(known.code, 0, known.err);
    assert.is(json<{ faces: { name: string }[] }[]>(known)[0]?.faces[0]?.name, "Grace");
    const ran = await porchlight(["identify", unknown, ...at, "--json"]);
    assert.is(ran.code, 2);
    assert.is(json<{ faces: { outcome: string }[] }[]>(ran)[0]?.faces[0]?.outcome, "unknown");
    const storeless = await porchlight(["identify", grace, unknown, "--gallery", photos, "--json"]);
    const outcomes = json<{ faces: { outcome: string; name: string | null }[] }[]>(storeless);
    assert.equal(
      outcomes.map(({ faces }) => faces[0]?.name),
      ["Grace", null],
    );
  },
);

verbs("start watches the camera; visits, log and status tell what happened", async () => {
  const ran = await porchlight(["start", ...at]);
  assert.is(ran.code, 0, ran.err);
  const events = ran.out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { event: string });
  assert.is(events.filter(({ event }) => event === "visit.ended").length, 3);
  assert.not.match(ran.out + ran.err, /Grace/);
  type Shown = {
    id: string;
    name: string | null;
    outcome: string;
    decision: { frames: unknown[] };
  };
  const visits = json<Shown[]>(await porchlight(["visits", "list", ...at, "--json"]));
  assert.equal(
    visits.map(({ name }) => name),
    [null, null, "Grace"],
  );
  const { id = "" } = visits[2] ?? {};
  const words = await porchlight(["visits", "show", id.slice(0, 8), ...at]);
  assert.match(words.out, /known: score 0\.9\d+ ≥ 0\.9\d+/);
  assert.match(words.out, /runner-up: none/);
  assert.match(words.out, /pack default@/);
  const shown = json<Shown>(await porchlight(["visits", "show", id, ...at, "--json"]));
  assert.ok(shown.decision.frames.length > 0);
  assert.is((await porchlight(["visits", "show", "ffffffff", ...at])).code, 2);
  type Status = { visits: number; people: number; pack: string };
  const status = json<Status>(await porchlight(["status", ...at, "--json"]));
  assert.equal([status.visits, status.people], [3, 1]);
});

verbs("a stranger of a visit can be enrolled afterwards, and is then known", async () => {
  const visits = json<{ id: string; outcome: string }[]>(
    await porchlight(["visits", "list", ...at, "--json"]),
  );
  const { id = "" } = visits.find(({ outcome }) => outcome === "unknown") ?? {};
  const ran = await porchlight(["enroll", "New Neighbour", "--from-visit", id, ...at, "--json"]);
  assert.is(ran.code, 0, ran.err);
  assert.ok(json<{ taken: number }>(ran).taken >= 1);
  // The first face the camera sees is somebody who is enrolled by now.
  const taken = await porchlight(["enroll", "Camera Person", "--camera", ...at, "--json"]);
  const { reports } = json<{ reports: { refusal: string | null }[] }>(taken);
  assert.ok(
    reports.some(({ refusal }) => refusal === "nearer to another person"),
    taken.out,
  );
});

verbs("the log is tailed, exported as it was hashed, and verified", async () => {
  const tail = await porchlight(["log", "tail", "-n", "3", ...at, "--json"]);
  assert.is(tail.out.trim().split("\n").length, 3);
  const typed = await porchlight(["log", "tail", "--type", "visit.ended", ...at, "--json"]);
  assert.ok(
    typed.out
      .trim()
      .split("\n")
      .every((line) => JSON.parse(line).type === "visit.ended"),
  );
  const exported = await porchlight(["log", "export", ...at]);
  const lines = exported.out.trim().split("\n");
  type Report = { entries: number; fault: null; head: { seq: number; hash: string } };
  const verified = await porchlight(["log", "verify", ...at, "--json"]);
  const report = json<Report>(verified);
  assert.is(verified.code, 0);
  assert.is(report.entries, lines.length);
  const { chainHash } = await import("../../../shared/log/chain.ts");
  const head = lines.reduce((hash, line) => chainHash(hash, line), "0".repeat(64));
  assert.is(head, report.head.hash);
  const forged = await porchlight([
    "log",
    "verify",
    "--head",
    `${report.head.seq}:${"0".repeat(64)}`,
    ...at,
  ]);
  assert.is(forged.code, 1);
  assert.match(forged.out, /forged-head/);
});

verbs("the gallery is rebuilt from the log as it was", async () => {
  const before = (await porchlight(["people", "list", ...at, "--json"])).out;
  const rebuilt = await porchlight(["store", "rebuild", ...at, "--json"]);
  assert.is(rebuilt.code, 0, rebuilt.err);
  assert.is((await porchlight(["people", "list", ...at, "--json"])).out, before);
});

verbs("models are listed, verified and chosen; the licence is shown", async () => {
  const packs = json<{ name: string; licence: string }[]>(
    await porchlight(["models", "list", ...at, "--json"]),
  );
  assert.ok(packs.some(({ name }) => name === "default"));
  assert.is((await porchlight(["models", "verify", ...at, "--json"])).code, 0);
  const used = await porchlight(["models", "use", "default", ...at]);
  assert.match(used.out, /MIT/);
  assert.match(readFileSync(config, "utf8"), /pack: default/);
  const missing = await porchlight(["models", "use", "no-such-pack", ...at]);
  assert.is(missing.code, 2);
});

verbs("the configuration is checked whole: every mistake with its line", async () => {
  const bad = join(folder.path, "bad.yaml");
  writeFileSync(bad, "dta: x\nrecognition:\n  macth: 0.9\n  margin: 7\ncamera: {kind: files}\n");
  const ran = await porchlight(["config", "check", "--config", bad]);
  assert.is(ran.code, 78);
  for (const words of [
    "line 1: dta is not a setting, did you mean data?",
    "line 3: recognition.macth",
    "line 4: recognition.margin",
    "line 5: camera.paths",
  ]) {
    assert.ok(ran.err.includes(words), `${words}\n${ran.err}`);
  }
  assert.is((await porchlight(["config", "check", ...at, "--json"])).code, 0);
  const schema = json<{ properties: Record<string, unknown> }>(
    await porchlight(["config", "schema", "--json"]),
  );
  assert.ok("recognition" in schema.properties);
  const gone = await porchlight(["config", "check", "--config", join(folder.path, "none.yaml")]);
  assert.is(gone.code, 78);
});

verbs("doctor tells what is here and how wide a face is", async () => {
  type Finding = { what: string; ok: boolean; found: string };
  const findings = json<Finding[]>(await porchlight(["doctor", ...at, "--json"]));
  const frame = findings.find(({ what }) => what === "frame");
  assert.match(frame?.found ?? "", /1280 × 720; faces: \d+ px/);
});

verbs.run();
