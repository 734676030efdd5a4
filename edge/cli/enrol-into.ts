import { randomUUID } from "node:crypto";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import type { AnyDraft } from "../../shared/log/draft.ts";
import type { Enrolment } from "../recognition/enrol.ts";
import { appendEnrolled } from "../store/enrolled-crop.ts";
import type { Store } from "../store/open-store.ts";
import type { Person } from "../vault/gallery.ts";

/** The person of this name; a second one of the same name must be asked for. */
export function personNamed({ gallery }: Store, name: string): Person | null {
  const [person, other] = gallery.named(name);
  if (other === undefined) return person ?? null;
  throw new PorchlightError("person.ambiguous", "several people have this name", {
    exitCode: EXIT.usage,
    hint: "rename one first: porchlight people rename <id> <new name>",
  });
}

function linkOf({ visits }: Store, id: string | null, person: string, actor: string) {
  const visit = id === null ? undefined : visits.find(id)?.id;
  if (visit === undefined) return [];
  return [{ type: "visit.linked", actor, subject: visit, data: { person, visit } } as const];
}

/** What an enrolment rests on: who is enrolled, and with which faces. */
const GALLERY_TYPES = [
  "person.enrolled",
  "person.renamed",
  "person.erased",
  "template.added",
  "template.removed",
] as const;
/** Two enrolments at once: the later one looks at the gallery again. More than this is no accident. */
const ATTEMPTS_MAX = 8;

/** Chooses and appends, anew where somebody else has changed the gallery in between. */
export async function enrolInto(
  store: Store,
  given: {
    readonly name: string;
    readonly actor: string;
    readonly dryRun: boolean;
    /** That it is from: it is theirs, then, and erasing them erases what was kept of it. */
    readonly visit: string | null;
    readonly choose: (person: string) => Promise<Enrolment>;
  },
): Promise<{ readonly person: string | null; readonly enrolment: Enrolment }> {
  const { name, actor, dryRun, choose } = given;
  const subject = randomUUID();
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const since = store.log.head();
    store.catchUp();
    const known = personNamed(store, name);
    const person = known?.id ?? subject;
    const enrolment = await choose(person);
    const { templates, removed } = enrolment;
    if (dryRun || templates.length === 0) return { person: null, enrolment };
    const personal = { profile: { name } };
    const enrolled = { type: "person.enrolled", actor, subject, data: {}, personal } as const;
    const link = linkOf(store, given.visit, person, actor);
    const drafts = [...(known === null ? [enrolled] : []), ...removed, ...templates, ...link];
    const append = (facts: readonly AnyDraft[]) =>
      store.appendUnlessSince(since, GALLERY_TYPES, facts) ?? [];
    const cursors = await appendEnrolled({ ...store, append }, drafts, randomUUID);
    if (cursors.length > 0) return { person, enrolment };
  }
  throw new PorchlightError("person.busy", "others are changing who is enrolled all the time", {
    hint: "try again when they are done: porchlight enroll",
  });
}
