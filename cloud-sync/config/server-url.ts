import { z } from "zod";

/** Of a store that a centre writes to. Its secrets have settings of their own. */
export const serverUrl = z.url({ protocol: /^https?$/ }).refine(
  (text) => {
    const { username, password, search } = new URL(text);
    return username === "" && password === "" && search === "";
  },
  { error: "a URL with a password or a token ends up in logs: they have settings of their own" },
);
