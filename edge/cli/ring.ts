import { text, usageError } from "../../shared/cli/options.ts";
import { NO_OPERANDS } from "../../shared/cli/verb.ts";
import { EXIT } from "../../shared/core/errors.ts";
import { type Verb, verb } from "./verb.ts";

const NAME_MAX = 64;

export const ring: Verb = verb({
  name: "ring",
  summary: "ring as if the button had been pressed",
  options: { button: text("NAME", "which button (default: the configured one, else door)") },
  example: "porchlight ring --button garden",
  operands: NO_OPERANDS,
  async run({ store, config, actor, values, terminal }) {
    const button = values.button ?? config().button?.name ?? "door";
    if (button === "" || button.length > NAME_MAX) {
      throw usageError(`--button is a name of 1 to ${NAME_MAX} characters`);
    }
    const [cursor] = store().append([{ type: "button.pressed", actor, data: { button } }]);
    terminal.data({ ...cursor, button }, `rang ${button}: entry ${cursor?.seq}`);
    return EXIT.ok;
  },
});
