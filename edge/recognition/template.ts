import type { Embedding } from "../../shared/log/embedding.ts";
import type { TemplateSource } from "../../shared/log/entry.ts";
import type { Candidate } from "./match.ts";

/** One embedding of a person, without its vector. */
export interface Template {
  readonly id: string;
  readonly person: string;
  readonly pack: string;
  readonly quality: number;
  readonly widthPx: number;
  readonly source: TemplateSource;
  readonly photo: string | null;
  /** The template whose crop this one embeds again. */
  readonly of: string | null;
  readonly addedAtMs: number;
  /** The entry whose sealed crop it was made from. */
  readonly seq: number;
}

/** Where templates are looked up. */
export interface TemplateGallery {
  templates(person?: string): readonly Template[];
  /** The vectors of a person's templates of this pack, by template. */
  embeddings(person: string, pack: string): ReadonlyMap<string, Embedding>;
  /** Best template of the most similar people for a probe of this pack, best first. */
  nearest(pack: string, probe: Embedding, limit: number): Promise<Candidate[]>;
}
