/** Whether the centre lives, and whether it is of use: what a supervisor or a load balancer asks. */
import type { ServerResponse } from "node:http";
import { messageOf } from "../../shared/core/errors.ts";
import type { Route } from "../http/server.ts";
import { atMostOnceASecond } from "./at-most-once-a-second.ts";

/** Something the centre needs, and why it does not have it now; null when it has. */
export interface Check {
  readonly name: string;
  readonly problem: () => Promise<string | null>;
  /** Without it the centre is of use all the same: its problem is shown, and it stays ready. */
  readonly optional?: true;
}

/** A check that takes longer has failed, so that a probe is answered in time. */
const CHECK_MS = 2_000;

export function healthRoutes(checks: readonly Check[]): Readonly<Record<string, Route>> {
  return { "GET /health/live": live, "GET /health/ready": ready(checks) };
}

/** Its process answers: nothing else is asked. */
const live: Route = async (_, response) => reply(response, 200, { live: true });

function ready(checks: readonly Check[]): Route {
  const looked = atMostOnceASecond(() =>
    Promise.all(
      checks.map(async ({ name, problem, optional = false }) => ({
        ...{ name, optional },
        problem: await within(problem()),
      })),
    ),
  );
  return async (_, response) => {
    const results = await looked();
    const failed = results.filter(({ problem, optional }) => problem !== null && !optional);
    const byName = Object.fromEntries(
      results.map(({ name, problem }) => [name, problem ?? "ok"] as const),
    );
    reply(response, failed.length === 0 ? 200 : 503, { ready: failed.length === 0, ...byName });
  };
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
  response.end(`${JSON.stringify(body)}\n`);
}

async function within(problem: Promise<string | null>): Promise<string | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((done) => {
    timer = setTimeout(() => done(`no answer within ${CHECK_MS} ms`), CHECK_MS);
  });
  try {
    return await Promise.race([problem, late]);
  } catch (error) {
    // A check that cannot be made is a problem, too.
    return messageOf(error);
  } finally {
    clearTimeout(timer);
  }
}
