import { lstatSync } from "node:fs";
import { userInfo } from "node:os";
import { requiredText, usageError } from "../../shared/cli/options.ts";
import { oneOperand } from "../../shared/cli/verb.ts";
import { bytes } from "../../shared/cli/words.ts";
import { EXIT, messageOf, PorchlightError, systemCodeOf } from "../../shared/core/errors.ts";
import { replaceFile } from "../host/atomic-file.ts";
import { openObject } from "../vault/objects.ts";
import { type Verb, verb } from "./verb.ts";

/** A face in the clear: for its owner alone. */
const FILE_MODE = 0o600;

/** Only a plain file is written over: through a link a face would go where somebody else wants it. */
function writePicture(out: string, picture: Buffer): void {
  if (lstatSync(out, { throwIfNoEntry: false })?.isFile() === false) {
    throw usageError(`${out} is no plain file: name a new one, or one to write over`);
  }
  try {
    replaceFile(out, picture, { mode: FILE_MODE });
  } catch (cause) {
    if (systemCodeOf(cause) === undefined) throw cause;
    const words = `${out} cannot be written by user ${userInfo().username}: ${messageOf(cause)}`;
    throw new PorchlightError("media.write", words, {
      hint: "name a file in a folder of theirs, or run it there: cd /var/lib/porchlight",
      cause,
    });
  }
}

export const mediaShow: Verb = verb({
  name: "media show",
  summary: "open a snapshot with the keys of the vault, and write it as a JPEG",
  options: { out: requiredText("FILE", "where the picture goes, 0600; it is written over") },
  example: "porchlight media show 3f2a90c1 --out visitor.jpg",
  operands: oneOperand("<id>"),
  async run({ store, terminal, values, operands: [id = ""] }) {
    const { out } = values;
    const { media, mediaFiles: files, log, keyring } = store();
    const item = media.find(id);
    const picture = item === null ? null : openObject(item, { log, keyring, files });
    if (item === null || picture === null) {
      throw new PorchlightError(
        "media.unknown",
        `no snapshot has the id ${id}, or several begin with it, or it was erased or shed`,
        { exitCode: EXIT.notFound, hint: "see those of a visit: porchlight visits show <visit>" },
      );
    }
    writePicture(out, picture);
    const { widthPx, heightPx } = item;
    const words = `${out}: ${widthPx} × ${heightPx} px, ${bytes(picture.length)}`;
    terminal.data({ media: item.id, file: out, bytes: picture.length, widthPx, heightPx }, words);
    return EXIT.ok;
  },
});
