import { number } from "../../shared/cli/options.ts";
import { table } from "../../shared/cli/terminal.ts";
import { NO_OPERANDS, oneOperand } from "../../shared/cli/verb.ts";
import { bytes, dateOf, duration, similarity } from "../../shared/cli/words.ts";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import { pause } from "../../shared/core/retry.ts";
import type { Gallery } from "../vault/gallery.ts";
import type { MediaItem } from "../vault/media.ts";
import type { Visit } from "../vault/visits.ts";
import { type Verb, verb } from "./verb.ts";

const POLL_MS = 250;
const HEADER = ["visit", "began", "lasted", "camera", "outcome", "who", "score", "margin"];

/** Adds the name the vault knows; an erased person has none any more. */
function named(visit: Visit, gallery: Pick<Gallery, "person">): Visit & { name: string | null } {
  const person = visit.person === null ? null : gallery.person(visit.person);
  return { ...visit, name: person?.name ?? null };
}

function rowOf(visit: Visit & { name: string | null }): string[] {
  const { decision } = visit;
  const gone = visit.person === null ? "" : "(erased)";
  return [
    visit.id.slice(0, 8),
    `${dateOf(visit.startedAtMs)}${visit.clock === "unsynced" ? "?" : ""}`,
    duration(visit.durationMs),
    visit.camera,
    visit.outcome ?? "…",
    visit.name ?? gone,
    similarity(decision?.score ?? null),
    similarity(decision?.margin ?? null),
  ];
}

export const visitsList: Verb = verb({
  name: "visits list",
  summary: "who was at the door, newest first",
  options: {
    limit: number("N", "at most this many (default 20)", {
      fallback: 20,
      min: 1,
      max: 10_000,
    }),
  },
  example: "porchlight visits list --limit 5",
  operands: NO_OPERANDS,
  async run({ store, terminal, values }) {
    const limit = values.limit;
    const { visits, gallery } = store();
    const list = visits.list(limit).map((visit) => named(visit, gallery));
    terminal.data(list, list.length === 0 ? "" : table(HEADER, list.map(rowOf)));
    if (list.length === 0) terminal.note("no visit yet: porchlight start");
    return EXIT.ok;
  },
});

export const visitsShow: Verb = verb({
  name: "visits show",
  summary: "one visit, and why it was decided as it was",
  options: {},
  example: "porchlight visits show 3f2a90c1",
  operands: oneOperand("<id>"),
  async run({ store, terminal, operands: [id = ""] }) {
    const { visits, gallery, media } = store();
    const found = visits.find(id);
    if (found === null) {
      throw new PorchlightError(
        "visit.unknown",
        `no visit has the id ${id}, or several begin with it`,
        {
          exitCode: EXIT.notFound,
          hint: "see them: porchlight visits list",
        },
      );
    }
    const visit = named(found, gallery);
    const pictures = media.ofVisit(visit.id);
    const words = [explain(visit, gallery), ...picturesOf(pictures)].join("\n");
    terminal.data({ ...visit, media: pictures }, words);
    return EXIT.ok;
  },
});

function picturesOf(pictures: readonly MediaItem[]): string[] {
  if (pictures.length === 0) return [];
  const rows = pictures.map(({ id, kind, widthPx, heightPx, bytes: size }) => [
    id.slice(0, 8),
    kind,
    `${widthPx} × ${heightPx}`,
    bytes(size),
  ]);
  const how = `see one: porchlight media show ${pictures[0]?.id.slice(0, 8)} --out FILE`;
  return ["", table(["media", "kind", "px", "size"], rows), how];
}

function explain(visit: Visit & { name: string | null }, gallery: Pick<Gallery, "person">): string {
  const lines = [table(HEADER, [rowOf(visit)])];
  const { decision } = visit;
  if (decision === null) return `${lines[0]}\nnot decided yet`;
  const { thresholds, runnerUp, score, margin, pack, seen, refused } = decision;
  const second = runnerUp === null ? null : (gallery.person(runnerUp.person)?.name ?? "(erased)");
  const because = {
    known: `score ${similarity(score)} ≥ ${thresholds.match}, and ${
      margin === null
        ? "no other person is enrolled"
        : `margin ${similarity(margin)} ≥ ${thresholds.margin}`
    }`,
    unknown: `the best score, ${similarity(score)}, is below ${thresholds.match}`,
    ambiguous: `score ${similarity(score)} is enough, but margin ${similarity(margin)} < ${thresholds.margin}`,
    unusable: "no frame was good enough to match",
  }[decision.outcome];
  lines.push(
    "",
    `${decision.outcome}: ${because}`,
    `runner-up: ${runnerUp === null ? "none" : `${second} ${similarity(runnerUp.score)}`}`,
    `pack ${pack}; ${seen} faces seen; not used: ${
      Object.entries(refused)
        .map(([reason, count]) => `${count} ${reason}`)
        .join(", ") || "none"
    }`,
  );
  const rows = decision.frames.map(({ index, widthPx, quality, score: own, template }) => [
    String(index),
    `${Math.round(widthPx)} px`,
    quality.toFixed(2),
    similarity(own),
    template?.slice(0, 8) ?? "-",
  ]);
  if (rows.length > 0)
    lines.push("", table(["frame", "face", "quality", "score", "template"], rows));
  return lines.join("\n");
}

export const visitsFollow: Verb = verb({
  name: "visits follow",
  summary: "print visits as they begin, are decided and end",
  options: {},
  example: "porchlight visits follow --json",
  operands: NO_OPERANDS,
  async run({ store, terminal, signal }) {
    const { visits, gallery, log, catchUp } = store();
    let seen = log.head().seq;
    while (!signal.aborted) {
      catchUp();
      const { seq } = log.head();
      for (const visit of visits.changedAfter(seen)) {
        const shown = named(visit, gallery);
        terminal.data(shown, rowOf(shown).join("  "));
      }
      seen = seq;
      await pause(POLL_MS, signal);
    }
    return EXIT.ok;
  },
});
