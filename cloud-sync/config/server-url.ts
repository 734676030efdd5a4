import { checkedUrl } from "../../shared/core/checked-url.ts";
import { isSafeUrl } from "../../shared/protocol/wire.ts";

/** Of a store that a centre writes to. Its secrets have settings of their own. */
export const serverUrl = checkedUrl(/^https?$/).refine(
  (text) => {
    const { username, password, search } = new URL(text);
    return username === "" && password === "" && search === "";
  },
  { error: "a URL with a password or a token ends up in logs: they have settings of their own" },
);

/** One that devices are sent to: they refuse another. */
export const deviceUrl = serverUrl.refine(isSafeUrl, {
  error: "devices send nothing without TLS but to their own machine: name an https:// address",
});
