import { randomUUID } from "node:crypto";
import type { AnyDraft, Draft } from "../../shared/log/draft.ts";
import { type Embedding, embeddingToBytes, normalise } from "../../shared/log/embedding.ts";
import type { Decision, TemplateSource } from "../../shared/log/entry.ts";

/** Drafts of facts, as the pipeline and the command line would append them. */

export const PACK = "test@1";

export function enrolled(subject: string, name: string): Draft<"person.enrolled"> {
  const personal = { profile: { name } };
  return { type: "person.enrolled", actor: "cli:test", subject, data: {}, personal };
}

export function renamed(subject: string, name: string): Draft<"person.renamed"> {
  const personal = { profile: { name } };
  return { type: "person.renamed", actor: "cli:test", subject, data: {}, personal };
}

export function erased(subject: string): Draft<"person.erased"> {
  return { type: "person.erased", actor: "cli:test", subject, data: { reason: "requested" } };
}

export function template(
  subject: string,
  embedding: Embedding,
  more: { readonly pack?: string; readonly crop?: Buffer; readonly id?: string } = {},
): Draft<"template.added"> {
  const source: TemplateSource = "photo";
  return {
    type: "template.added",
    actor: "cli:test",
    subject,
    data: {
      template: more.id ?? randomUUID(),
      pack: more.pack ?? PACK,
      dimension: embedding.length,
      quality: 0.9,
      widthPx: 120,
      source,
      of: null,
    },
    personal: {
      biometric: {
        embedding: embeddingToBytes(embedding).toString("base64"),
        crop: more.crop?.toString("base64") ?? null,
        photo: null,
      },
    },
  };
}

export function sampled(value: number): Draft<"telemetry.sampled"> {
  return { type: "telemetry.sampled", actor: "device", data: { metrics: { value } } };
}

/** A snapshot of a visit, as it lies sealed beside the log. */
export function captured(id: string): Draft<"media.captured"> {
  const object = { bytes: 40_000, heightPx: 720, kind: "snapshot", widthPx: 1280 } as const;
  return {
    type: "media.captured",
    actor: "device",
    subject: id,
    data: { ...object, media: randomUUID(), sha256: "a".repeat(64), visit: id },
    personal: { media: { digest: "b".repeat(64), key: Buffer.alloc(32).toString("base64") } },
  };
}

export function pressed(button = "door"): Draft<"button.pressed"> {
  return { type: "button.pressed", actor: "device", data: { button } };
}

/** The facts of one visit; `person` null is a stranger. */
export function visit(id: string, person: string | null): AnyDraft[] {
  const decision: Decision = {
    outcome: person === null ? "unknown" : "known",
    person,
    score: 0.8123,
    runnerUp: null,
    margin: null,
    thresholds: { match: 0.5, margin: 0.05 },
    pack: PACK,
    frames: [],
    seen: 4,
    refused: { blurred: 1 },
  };
  const { outcome } = decision;
  const ended = { visit: id, reason: "absent", durationMs: 2_000, frames: 4, outcome } as const;
  const about = { actor: "device", subject: id } as const;
  return [
    { ...about, type: "visit.started", data: { visit: id, camera: "door" } },
    { ...about, type: "visit.recognised", data: { visit: id, revision: 1, decision } },
    { ...about, type: "visit.ended", data: ended },
  ];
}

/** A name and a face to look for where nobody may find them. */
export const CANARY_NAME = "Käthe Canary-Kiebitz";
export function canaryFace(): Embedding {
  return randomEmbedding(seeded(0xca7a));
}

/** Numbers that look random and are the same for one seed (mulberry32, T. Ettinger, 2017). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A UUID (version 4) that is the same for one seed. */
export function seededId(random: () => number): string {
  return "xxxxxxxx-xxxx-4xxx-8xxx-xxxxxxxxxxxx".replaceAll("x", () =>
    Math.floor(random() * 16).toString(16),
  );
}

/** A unit vector in a random direction: even in the cube is even enough to tell people apart. */
export function randomEmbedding(random: () => number, dimension = 128): Embedding {
  return normalise(Float32Array.from({ length: dimension }, () => random() - 0.5));
}
