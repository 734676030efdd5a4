import { randomUUID } from "node:crypto";
import * as assert from "uvu/assert";
import { z } from "zod";
import { createPostgresSink } from "../../../../cloud-sync/sinks/read-models/sink.ts";
import { createLogOwners } from "../../../../cloud-sync/sinks/support/device-of-log.ts";
import { Central } from "../../../support/central.ts";
import { startServer } from "../../../support/engines.ts";
import { batchOf } from "../../../support/links.ts";
import { needsPostgres } from "../../../support/postgres.ts";
import { RunningSink } from "../../../support/running-sink.ts";
import { Story } from "../../../support/story.ts";
import { suite } from "../../../support/suite.ts";
import { until } from "../../../support/until.ts";

const models = suite("read models in PostgreSQL");
const central = new Central(startServer);
const unaborted = new AbortController().signal;
let story: Story;

function made(version?: number) {
  const devicesOf = createLogOwners(central.database);
  const options = { database: central.database, devicesOf };
  return createPostgresSink(version === undefined ? options : { ...options, version });
}

async function told(): Promise<void> {
  const { device, log, links } = story;
  await central.log.append([{ device, batch: batchOf(log, links) }]);
}

async function project(): Promise<void> {
  const sink = made();
  await sink.open(unaborted);
  await sink.write(await central.log.readAfter(0n, 1_000), unaborted);
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

  models("another version of them is dropped and replayed by itself", async () => {
    await told();
    const first = new RunningSink(made(), central);
    const last = BigInt(story.links.length);
    await until("it is projected", () => first.runner.stats().position >= last);
    await first.stop();
    await central.database.query("UPDATE porchlight_read.devices SET version = 'old'");
    const second = new RunningSink(made(99), central);
    await until("it is projected again", async () => {
      const [row] = await rows(
        `SELECT (SELECT version FROM porchlight_read.projection) AS is,
           (SELECT version FROM porchlight_read.devices) AS of`,
      ).catch(() => []);
      return row?.["is"] === 99 && row["of"] === "1.0.0";
    });
    await second.stop();
  });
}

models.run();
