import { randomBytes, randomUUID } from "node:crypto";
import type { Link } from "../../shared/log/chain.ts";
import { type Embedding, embeddingToBytes } from "../../shared/log/embedding.ts";
import type { PersonalClass } from "../../shared/log/entry.ts";
import { type SealPlace, seal, unseal } from "../../shared/log/seal.ts";
import { PACK, randomEmbedding, seeded, visit } from "./facts.ts";
import { type Fact, logOf, opened } from "./links.ts";

/** Entries that one store or another will never accept. */
const BAD = ["visit.ended", "telemetry.sampled", "template.added"] as const;
type Bad = (typeof BAD)[number];

/** A device's log with something of everything in it, for whoever reads the central log. */
export class Story {
  readonly device = randomUUID();
  readonly log = randomUUID();
  readonly links: Link[] = [];
  readonly kept = randomUUID();
  readonly erased = randomUUID();
  readonly face: Embedding = randomEmbedding(seeded(7));
  readonly bad = new Map<Bad, number>();
  readonly #keys = new Map<string, Buffer>();

  constructor() {
    const [known, stranger] = [randomUUID(), randomUUID()];
    this.add(opened(this.device));
    const pack = { name: "test", version: "1" };
    this.fact("daemon.started", { boot: "b", pack, version: "1.0.0" });
    this.#enrol(this.kept, this.face);
    this.#enrol(this.erased, randomEmbedding(seeded(8)));
    for (const { type, subject = null, data } of visit(known, this.kept)) {
      this.fact(type, data, subject);
    }
    this.fact("telemetry.sampled", { metrics: { framesPerSecond: 12.5, faces: 3 } });
    this.fact("visit.ended", { visit: known }, known);
    this.bad.set("visit.ended", this.links.length);
    this.fact("telemetry.sampled", { metrics: { faces: "many" } });
    this.bad.set("telemetry.sampled", this.links.length);
    for (const { type, subject = null, data } of visit(stranger, null)) {
      this.fact(type, data, subject);
      this.fact(type, data, subject); // said twice, as two facts
    }
    const size = { bytes: 70_000, heightPx: 480, widthPx: 640 };
    const media = { kind: "snapshot", media: randomUUID(), sha256: "a".repeat(64) };
    this.fact("media.captured", { ...media, ...size, visit: stranger }, stranger);
    const template = { dimension: 3, of: null, pack: PACK, quality: "good", source: "photo" };
    const broken = { ...template, template: randomUUID(), widthPx: 1 };
    this.#sealed("template.added", broken, this.kept, "biometric", { embedding: "AAAA" });
    this.bad.set("template.added", this.links.length);
    this.fact("person.erased", { reason: "requested" }, this.erased);
    this.fact("button.pressed", { button: "front" });
    this.fact("tea.made", { cups: 2 });
    this.fact("anomaly.detected", { kind: "clock" });
    this.fact("telemetry.sampled", { metrics: { framesPerSecond: 11, faces: 0 } });
    this.empty(this.links.length - 1);
    const shed = { bytes: 100, count: 1, from: this.links.length - 1, types: ["anomaly.detected"] };
    this.fact("buffer.shed", { ...shed, to: this.links.length - 1 });
  }

  /** One more fact, later than all before it. */
  fact(type: string, data: object, subject: string | null = null, sealed?: Fact["sealed"]): void {
    const i = this.links.length;
    const times = { at: 1_790_000_000_000 + i * 1_000, monotonicMs: i * 1_000 };
    const about = { actor: "device", subject, sealed: sealed ?? null } as const;
    this.add({ ...times, ...about, clock: "synced", data: { ...data }, type });
  }

  add(fact: Fact): void {
    this.links.push(...logOf(this.log, [fact], this.links.at(-1)));
  }

  /** Takes an entry's content away, as a full buffer does. */
  empty(seq: number): void {
    const link = this.links[seq - 1];
    if (link !== undefined) this.links[seq - 1] = { ...link, body: null };
  }

  /** Opens what these subjects have sealed, as whoever has their keys. */
  readonly open = async (place: SealPlace, sealed: string): Promise<Buffer | null> => {
    const key = this.#keys.get(`${place.subject}:${place.class}`);
    return key === undefined ? null : unseal(key, place, sealed);
  };

  /** The key of a subject, as its device would release it. */
  keyOf(subject: string, personalClass: PersonalClass): Buffer {
    return this.#keys.get(`${subject}:${personalClass}`) ?? randomBytes(32);
  }

  #enrol(subject: string, face: Embedding): void {
    this.#sealed("person.enrolled", {}, subject, "profile", { name: "Somebody" });
    const template = { dimension: face.length, of: null, pack: PACK, quality: 0.9 };
    const data = { ...template, source: "photo", template: randomUUID(), widthPx: 120 };
    const embedding = embeddingToBytes(face).toString("base64");
    const content = { crop: null, embedding, photo: null };
    this.#sealed("template.added", data, subject, "biometric", content);
  }

  #sealed(
    type: string,
    data: object,
    subject: string,
    personalClass: PersonalClass,
    content: object,
  ): void {
    const name = `${subject}:${personalClass}`;
    const key = this.#keys.get(name) ?? randomBytes(32);
    this.#keys.set(name, key);
    const place = {
      log: this.log,
      seq: this.links.length + 1,
      type,
      subject,
      class: personalClass,
    };
    const sealed = seal(key, place, Buffer.from(JSON.stringify(content)));
    this.fact(type, data, subject, { [personalClass]: sealed });
  }
}
