import { randomUUID } from "node:crypto";
import * as assert from "uvu/assert";
import { z } from "zod";
import { createArchive } from "../../../../cloud-sync/lifecycle/archive.ts";
import { createArchivedPages } from "../../../../cloud-sync/lifecycle/archived-pages.ts";
import type { ArchivedPages } from "../../../../cloud-sync/log/pages.ts";
import { makePartition } from "../../../../cloud-sync/log/partitions.ts";
import { createFolderStore } from "../../../../cloud-sync/objects/folder.ts";
import { createReadModels } from "../../../../cloud-sync/sinks/read-models/sink.ts";
import { createSinkControl } from "../../../../cloud-sync/sinks/runner/control.ts";
import { createLogOwners } from "../../../../cloud-sync/sinks/support/device-of-log.ts";
import { PorchlightError } from "../../../../shared/core/errors.ts";
import { silentLogger } from "../../../../shared/core/logger.ts";
import { Central } from "../../../support/central.ts";
import { DirectProjection } from "../../../support/direct-projection.ts";
import { startServer } from "../../../support/engines.ts";
import { batchOf } from "../../../support/links.ts";
import { needsPostgres } from "../../../support/postgres.ts";
import { RunningSink } from "../../../support/running-sink.ts";
import { Story } from "../../../support/story.ts";
import { suite } from "../../../support/suite.ts";
import { tempFolder } from "../../../support/temp.ts";
import { until } from "../../../support/until.ts";

const unaborted = new AbortController().signal;
const models = suite("read models in PostgreSQL");
const central = new Central(startServer);
let story: Story;

function made(version?: number) {
  const devicesOf = createLogOwners(central.database);
  return createReadModels(version === undefined ? { devicesOf } : { devicesOf, version });
}

async function told(): Promise<void> {
  const { device, log, links } = story;
  await central.log.append([{ device, batch: batchOf(log, links) }]);
}

async function project(): Promise<void> {
  const sink = new DirectProjection(central.database, made());
  await sink.open();
  await sink.write(await central.log.readAfter(0n, 1_000));
}

const anyRows = z.array(z.record(z.string(), z.unknown()));
async function rows(query: string) {
  return anyRows.parse(await central.database.query(query));
}

if (needsPostgres()) {
  models.before.each(async () => {
    await central.begin();
    story = new Story();
  });
  models.after.each(() => central.end());
  models.after(() => central.stop());

  models("say who is there, who came, and how it went", async () => {
    await told();
    await project();
    const [device] = await rows("SELECT * FROM porchlight_read.devices");
    const head = story.links.at(-1);
    assert.equal(
      [
        device?.["device"],
        device?.["seq"],
        device?.["hash"],
        device?.["version"],
        device?.["pack"],
      ],
      [story.device, BigInt(head?.seq ?? 0), head?.hash, "1.0.0", "test@1"],
    );
    const visits = await rows(
      `SELECT camera, outcome, person, score, revision, reason, duration_ms, end_outcome,
         delay_ms > 0 AS late FROM porchlight_read.visits ORDER BY person`,
    );
    const common = { camera: "door", revision: 1, score: 0.8123, late: true };
    const ended = { reason: "absent", duration_ms: 2_000n };
    assert.equal(visits, [
      { ...common, ...ended, outcome: "known", person: story.kept, end_outcome: "known" },
      { ...common, ...ended, outcome: "unknown", person: null, end_outcome: "unknown" },
    ]);
    const [media] = await rows("SELECT kind, bytes, width_px, sha256 FROM porchlight_read.media");
    const sha256 = "a".repeat(64);
    assert.equal(media, { kind: "snapshot", bytes: 70_000n, width_px: 640, sha256 });
    const odd = await rows("SELECT type, entries FROM porchlight_read.anomalies ORDER BY position");
    assert.equal(odd, [{ type: "buffer.shed", entries: 1n }]);
  });

  models("keep a profile as it was sealed, and nothing of who was erased", async () => {
    await told();
    await project();
    const people = await rows(
      `SELECT subject, profile, profile_log, profile_seq, erased_reason FROM porchlight_read.people
       WHERE enrolled_position IS NOT NULL ORDER BY profile NULLS LAST`,
    );
    assert.equal(
      people.map(({ subject }) => subject),
      [story.kept, story.erased],
    );
    const [kept, erased] = people;
    const { profile, profile_log: log, profile_seq: seq } = kept ?? {};
    const place = { log: String(log), seq: Number(seq), type: "person.enrolled" };
    const seal = { ...place, subject: story.kept, class: "profile" } as const;
    assert.is(String(await story.open(seal, String(profile))), '{"name":"Somebody"}');
    assert.equal([erased?.["profile"], erased?.["erased_reason"]], [null, "requested"]);
    const templates = await rows("SELECT subject FROM porchlight_read.templates");
    assert.equal(templates, [{ subject: story.kept }]);
  });

  models("a template that was removed says since when", async () => {
    await told();
    await project();
    const [before] = await rows("SELECT template, removed_at FROM porchlight_read.templates");
    assert.is(before?.["removed_at"], null);
    story.fact("template.removed", { template: before?.["template"] }, story.kept);
    await told();
    await project();
    const [after] = await rows("SELECT template, pack, removed_at FROM porchlight_read.templates");
    assert.is(after?.["template"], before?.["template"]);
    assert.ok(after?.["removed_at"] !== null && after?.["pack"] !== null);
  });

  models("a visitor who came late or in pieces is put together", async () => {
    const visit = randomUUID();
    const ended = { durationMs: 5, frames: 1, outcome: "unknown", reason: "absent", visit };
    story.fact("visit.ended", ended, visit);
    await told();
    await project();
    const [found] = await rows(
      `SELECT camera, started_at, duration_ms FROM porchlight_read.visits WHERE visit = '${visit}'`,
    );
    assert.equal(found, { camera: null, started_at: null, duration_ms: 5n });
  });

  models("who did what to whom can be looked up, and telemetry is not in the way", async () => {
    await told();
    await project();
    const about = await rows(
      `SELECT type, actor FROM porchlight_read.audit WHERE subject = '${story.erased}'
       ORDER BY position`,
    );
    const types = ["person.enrolled", "template.added", "person.erased"];
    assert.equal(
      about,
      types.map((type) => ({ type, actor: "device" })),
    );
    const [sampled] = await rows(
      "SELECT count(*) FROM porchlight_read.audit WHERE type = 'telemetry.sampled'",
    );
    assert.equal(sampled, { count: 0n });
  });

  models(
    "what one device says of another's people and visits changes nothing of theirs",
    async () => {
      const [mine, theirs] = [story, new Story()];
      await told();
      const [known] = mine.links.flatMap(({ body }) => {
        const entry = JSON.parse(body ?? "{}");
        return entry.type === "visit.started" ? [entry.data.visit] : [];
      });
      theirs.fact("visit.started", { visit: known, camera: "other" }, known);
      theirs.fact("person.renamed", {}, mine.kept, { profile: "AAAA" });
      theirs.fact("person.erased", { reason: "requested" }, mine.kept);
      const batch = batchOf(theirs.log, theirs.links);
      await central.log.append([{ device: theirs.device, batch }]);
      await project();
      const [visit] = await rows(
        `SELECT camera FROM porchlight_read.visits WHERE visit = '${known}' AND device = '${mine.device}'`,
      );
      assert.equal(visit, { camera: "door" });
      const [person] = await rows(
        `SELECT profile IS NOT NULL AS here, erased_at FROM porchlight_read.people
       WHERE subject = '${mine.kept}' AND device = '${mine.device}'`,
      );
      assert.equal(person, { here: true, erased_at: null });
      const templates = await rows(
        `SELECT FROM porchlight_read.templates WHERE device = '${mine.device}'`,
      );
      assert.is(templates.length, 1);
    },
  );

  models("snapshots of a visit go with the person whom it was linked to", async () => {
    const [person, before, after, other] = [1, 2, 3, 4].map(() => randomUUID());
    const size = { bytes: 1, kind: "snapshot", sha256: "a".repeat(64) };
    const shown = (visit = ""): void =>
      story.fact("media.captured", { ...size, media: randomUUID(), visit }, visit);
    for (const visit of [before, other]) shown(visit);
    story.fact("visit.linked", { person, visit: before }, before ?? null);
    story.fact("person.erased", { reason: 7 }, person ?? null);
    story.fact("visit.linked", { person, visit: after }, after ?? null);
    shown(after);
    await told();
    await project();
    const gone = await rows(
      "SELECT visit FROM porchlight_read.media WHERE erased_at IS NOT NULL ORDER BY captured_position",
    );
    assert.equal(
      gone,
      [{ visit: before }, { visit: after }],
      "however it is said that it was erased",
    );
  });

  models("text that no column holds rejects its entry alone", async () => {
    const camera = ["a\u0000b", "x".repeat(5_000), "\\N", "tab\there"];
    for (const each of camera) story.fact("visit.started", { visit: randomUUID(), camera: each });
    await told();
    const sink = new DirectProjection(central.database, made());
    await sink.open();
    const { rejected } = await sink.write(await central.log.readAfter(0n, 1_000));
    assert.is(rejected.length, 2 + 2, "two of the story, and two of these");
    const kept = await rows(
      "SELECT camera FROM porchlight_read.visits ORDER BY started_position DESC LIMIT 2",
    );
    assert.equal(kept, [{ camera: "tab\there" }, { camera: "\\N" }]);
  });

  models("another version of them is built from archived months as well", async () => {
    const temp = tempFolder("archived");
    const { database, log } = central;
    const objects = createFolderStore({ folder: temp.path, newId: randomUUID });
    const archived = createArchivedPages(database, objects, silentLogger);
    const month = "2026-02";
    const visits = () => rows("SELECT * FROM porchlight_read.visits ORDER BY visit");
    await told();
    await database.query(makePartition(month));
    await database.query("UPDATE event_log SET received_at = '2026-02-03T04:05:06Z'");
    const first = new RunningSink(made(), central);
    const last = await log.lastPosition();
    await until("it is projected", () => first.runner.stats().position === last);
    await first.stop();
    const before = await visits();
    const archive = createArchive({ database, objects, sinks: ["postgres"], clock: Date });
    await createSinkControl(database).dropRejects("postgres");
    await archive.archive(month, unaborted);
    await archive.drop(month, unaborted);
    const without = new RunningSink(made(98), { database, log, archived: broken(archived) });
    await until("it is held up", () => without.runner.stats().errorCode === "archive.broken");
    const [held] = await createSinkControl(database).states();
    assert.equal([held?.errorCode, held?.rebuild?.errorCode], ["archive.broken", "archive.broken"]);
    assert.equal(await visits(), before, "what was served is served");
    await without.stop();
    const second = new RunningSink(made(99), { database, log, archived });
    await until("it is served", async () => {
      const [row] = await rows("SELECT version FROM porchlight_read.projection");
      return row?.["version"] === 99;
    });
    await second.stop();
    assert.equal(await visits(), before);
    temp.remove();
  });
}

function broken(archived: ArchivedPages): ArchivedPages {
  const gone = new PorchlightError("archive.broken", "it is not there");
  return { ...archived, after: () => Promise.reject(gone) };
}

models.run();
