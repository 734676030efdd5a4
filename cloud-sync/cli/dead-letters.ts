import { confirmation, deviceId, number, usageError } from "../../shared/cli/options.ts";
import { table } from "../../shared/cli/terminal.ts";
import { NO_OPERANDS, oneOperand } from "../../shared/cli/verb.ts";
import { bytes, dateOf } from "../../shared/cli/words.ts";
import { EXIT } from "../../shared/core/errors.ts";
import type { DeadLetter } from "../log/dead-letters.ts";
import { type Invocation, type Verb, verb } from "./verb.ts";

/** As many as a device may have. */
const LETTERS_SHOWN = 1_000;

function idOf({ operands }: Invocation): number {
  const id = Number(operands[0]);
  if (!Number.isSafeInteger(id) || id < 1) throw usageError("a dead letter is named by its number");
  return id;
}

function placeOf({ log, seq }: DeadLetter): string {
  return seq === null ? "message" : `entry ${seq} of ${log}`;
}

export const deadLettersList: Verb = verb({
  name: "dead-letters list",
  summary: "list dead letters: device, size and reason",
  options: {
    device: deviceId("only of this device"),
    after: number("ID", "only those after this one", {
      fallback: 0,
      min: 0,
      max: Number.MAX_SAFE_INTEGER,
    }),
    limit: number("N", "at most this many (default 1000)", {
      fallback: LETTERS_SHOWN,
      min: 1,
      max: 100_000,
    }),
  },
  example: "porchlight-cloud dead-letters list",
  operands: NO_OPERANDS,
  async run({ centre, values, terminal }) {
    const { deadLetters } = await centre();
    const letters = await deadLetters.letters(values.device, values);
    const rows = letters.map((letter) => [
      `${letter.id}`,
      dateOf(letter.receivedAt.getTime()),
      letter.device,
      placeOf(letter),
      bytes(letter.bytes),
      letter.reason,
    ]);
    terminal.data(letters, table(["id", "received", "device", "item", "size", "reason"], rows));
    return EXIT.ok;
  },
});

export const deadLettersShow: Verb = verb({
  name: "dead-letters show",
  summary: "print a dead letter as it came, in base64 with --json",
  options: {},
  example: "porchlight-cloud dead-letters show 12 | xxd | less",
  operands: oneOperand("<id>"),
  async run(invocation) {
    const { terminal, centre } = invocation;
    const id = idOf(invocation);
    const payload = await (await centre()).deadLetters.payload(id);
    if (terminal.json) terminal.data({ id, payload: payload.toString("base64") }, "");
    else process.stdout.write(payload);
    return EXIT.ok;
  },
});

export const deadLettersRetry: Verb = verb({
  name: "dead-letters retry",
  summary: "retry a dead letter: ingest it again, as after an update of the centre",
  options: {},
  example: "porchlight-cloud dead-letters retry 12",
  operands: oneOperand("<id>"),
  async run(invocation) {
    const id = idOf(invocation);
    const problem = await (await invocation.centre()).deadLetters.retry(id);
    const words = problem === null ? `${id} is in the log now` : `${id} stays here: ${problem}`;
    invocation.terminal.data({ id, taken: problem === null, problem }, words);
    return problem === null ? EXIT.ok : EXIT.failed;
  },
});

export const deadLettersDrop: Verb = verb({
  name: "dead-letters drop",
  summary: "delete a dead letter",
  options: { yes: confirmation("a dropped dead letter cannot be restored") },
  example: "porchlight-cloud dead-letters drop 12 --yes",
  operands: oneOperand("<id>"),
  async run(invocation) {
    const id = idOf(invocation);
    await (await invocation.centre()).deadLetters.drop(id);
    invocation.terminal.data({ id, dropped: true }, `${id} is gone`);
    return EXIT.ok;
  },
});
