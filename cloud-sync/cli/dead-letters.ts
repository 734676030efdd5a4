import { table } from "../../shared/cli/terminal.ts";
import { text, usageError } from "../../shared/cli/verb.ts";
import { bytes, dateOf } from "../../shared/cli/words.ts";
import { EXIT } from "../../shared/core/errors.ts";
import type { DeadLetter } from "../log/dead-letters.ts";
import type { Invocation, Verb } from "./verb.ts";

const NONE = { options: {}, optionHelp: {} } as const;

function idOf({ operands }: Invocation): number {
  const id = Number(operands[0]);
  if (!Number.isSafeInteger(id) || id < 1) throw usageError("a dead letter is named by its number");
  return id;
}

function placeOf({ log, seq }: DeadLetter): string {
  return seq === null ? "message" : `entry ${seq} of ${log}`;
}

export const deadLettersList: Verb = {
  name: "dead-letters list",
  usage: "[--device ID]",
  summary: "what could not be taken in, from whom and why",
  options: { device: { type: "string" } },
  optionHelp: { "--device ID": "only of this device" },
  example: "porchlight-cloud dead-letters list",
  operands: { min: 0, max: 0 },
  async run({ centre, values, terminal }) {
    const { shelf } = await centre();
    const letters = await shelf.letters(text(values, "device"));
    const rows = letters.map((letter) => [
      `${letter.id}`,
      dateOf(letter.receivedAt.getTime()),
      letter.device,
      placeOf(letter),
      bytes(letter.bytes),
      letter.reason,
    ]);
    terminal.data(letters, table(["id", "received", "device", "what", "size", "why"], rows));
    return EXIT.ok;
  },
};

export const deadLettersShow: Verb = {
  name: "dead-letters show",
  usage: "<id>",
  summary: "print a dead letter as it came, in base64 with --json",
  ...NONE,
  example: "porchlight-cloud dead-letters show 12 | xxd | less",
  operands: { min: 1, max: 1 },
  async run(invocation) {
    const { terminal, centre } = invocation;
    const id = idOf(invocation);
    const payload = await (await centre()).shelf.payload(id);
    if (terminal.json) terminal.data({ id, payload: payload.toString("base64") }, "");
    else process.stdout.write(payload);
    return EXIT.ok;
  },
};

export const deadLettersRetry: Verb = {
  name: "dead-letters retry",
  usage: "<id>",
  summary: "try again to take it in, as after an update of the centre",
  ...NONE,
  example: "porchlight-cloud dead-letters retry 12",
  operands: { min: 1, max: 1 },
  async run(invocation) {
    const id = idOf(invocation);
    const problem = await (await invocation.centre()).shelf.retry(id);
    const words = problem === null ? `${id} is in the log now` : `${id} stays here: ${problem}`;
    invocation.terminal.data({ id, taken: problem === null, problem }, words);
    return problem === null ? EXIT.ok : EXIT.failed;
  },
};

export const deadLettersDrop: Verb = {
  name: "dead-letters drop",
  usage: "<id> --yes",
  summary: "forget a dead letter for good",
  options: { yes: { type: "boolean" } },
  optionHelp: { "--yes": "it cannot be brought back: say that you know" },
  example: "porchlight-cloud dead-letters drop 12 --yes",
  operands: { min: 1, max: 1 },
  async run(invocation) {
    const id = idOf(invocation);
    if (invocation.values["yes"] !== true)
      throw usageError("a letter that is dropped is gone: --yes");
    await (await invocation.centre()).shelf.drop(id);
    invocation.terminal.data({ id, dropped: true }, `${id} is gone`);
    return EXIT.ok;
  },
};
