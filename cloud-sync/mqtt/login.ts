/** Who may come in on our own broker: the user is the device, and its client id says so as well. */
import type { Socket } from "node:net";
import type { AuthenticateError, Client } from "aedes";
import { invariant, messageOf } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { pause } from "../../shared/core/retry.ts";
import { REFUSAL_DELAY_MS } from "../fairness/limits.ts";
import { createLoginBudget } from "../fairness/login-budget.ts";
import { addressOf } from "../fairness/unauthenticated.ts";
import { LimitedConnection } from "./packet-limit.ts";
import type { Sessions } from "./sessions.ts";

/** When this password of the device was made; null when it is not good. */
export type Authenticate = (device: string, password: string) => Promise<Date | null>;

export interface Login {
  /** Null when the password is good. */
  check(
    client: Client,
    username: string | undefined,
    password: Buffer | undefined,
  ): Promise<AuthenticateError | null>;
  /** Attempts that were refused unchecked. */
  refused(): number;
}

export interface LoginOptions {
  readonly authenticate: Authenticate;
  readonly isKnown: (device: string, password: string) => boolean;
  readonly sessions: Pick<Sessions, "begin" | "letIn">;
  /** Its password is being checked: it makes room for no other connection any more. */
  readonly checking: (socket: Socket) => void;
  /** Aborted when the broker ends. */
  readonly signal: AbortSignal;
  readonly logger: Logger;
}

/** CONNACK (MQTT 3.1.1, 3.2.2.3): server unavailable; bad user name or password. */
const UNAVAILABLE = 3;
const BAD_PASSWORD = 4;
const CLIENT = "porchlight-";

export function createLogin(options: LoginOptions): Login {
  const { authenticate, isKnown, sessions, checking, signal, logger } = options;
  const budget = createLoginBudget(() => performance.now());
  const verify = async (client: Client, device: string, password: string) => {
    // Registered before the password is looked at: a revocation meanwhile is not overlooked.
    sessions.begin(client, device);
    const good = await authenticate(device, password);
    return good !== null && sessions.letIn(client, good);
  };
  return {
    async check(client, username, password) {
      const { conn } = client;
      invariant(conn instanceof LimitedConnection, "aedes has the connections that it was given");
      const device = username ?? "";
      // Another's client id would end that one's session [MQTT-3.1.4-2]; a free one, leave many behind.
      if (client.id !== `${CLIENT}${device}` || password === undefined) {
        return refusal(BAD_PASSWORD);
      }
      const text = password.toString("utf8");
      const attempt = { device, address: addressOf(conn.socket) };
      // A device whose password was good before does not wait behind strangers who guess.
      const counted = !isKnown(device, text);
      const may = counted ? budget.begin(attempt) : budget.mayReturn(device);
      if (!may) {
        await pause(REFUSAL_DELAY_MS, signal);
        return refusal(UNAVAILABLE);
      }
      checking(conn.socket);
      let outcome: "good" | "wrong" | "unknown" = "unknown";
      try {
        outcome = (await verify(client, device, text)) ? "good" : "wrong";
        return outcome === "good" ? null : refusal(BAD_PASSWORD);
      } catch (error) {
        const reason = messageOf(error);
        logger.warn("authentication failed: password check unavailable", { device, reason });
        return refusal(UNAVAILABLE);
      } finally {
        if (counted) budget.end(attempt, outcome);
      }
    },
    refused: () => budget.refused(),
  };
}

/** The device of an authenticated client. */
export function deviceOf({ id }: Pick<Client, "id">): string {
  return id.slice(CLIENT.length);
}

function refusal(returnCode: number): AuthenticateError {
  return Object.assign(new Error("authentication failed"), { returnCode });
}
