/** The system user that a PostgreSQL started by root runs as: it owns nothing else. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import type { Account } from "./account.ts";

const NAME = "porchlight-postgres";
const COMMENT = "PostgreSQL of Porchlight";
const USERS = "/etc/passwd";
/** initdb(1) wants a name for its user, so a number alone would not do. */
const MAKERS: readonly (readonly string[])[] = [
  ["systemd-sysusers", "--inline", `u ${NAME} - "${COMMENT}" /nonexistent`],
  ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"].concat([
    ...["--shell", "/usr/sbin/nologin", "--comment", COMMENT, NAME],
  ]),
];
/** Another centre may be making it at this moment: both programs lock the files. */
const ATTEMPTS = 20;
const AGAIN_AFTER_MS = 100;

/** The user, made where it is not there. Throws `postgres.embedded.account` where it cannot be. */
export async function ownUser(logger: Logger): Promise<Account> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const [, uid, gid] = fieldsOf(([name]) => name === NAME) ?? [];
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) };
    if (attempt > 0) await sleep(AGAIN_AFTER_MS);
    const makes = ([program = "", ...args]: readonly string[]): boolean =>
      spawnSync(program, args, { stdio: "ignore" }).status === 0;
    if (MAKERS.some(makes)) logger.info("system user made for the database", { user: NAME });
  }
  throw new PorchlightError(
    "postgres.embedded.account",
    `PostgreSQL does not run as root, and the system user ${NAME} could not be made`,
    {
      hint: `make it: useradd --system --user-group ${NAME}; or let another user own the --data folder`,
    },
  );
}

/** Null for a number that no user of this machine has. */
export function userNameOf(uid: number): string | null {
  return fieldsOf((fields) => fields[2] === String(uid))?.[0] ?? null;
}

/** Name, number and group of the first user that matches. */
function fieldsOf(matches: (fields: readonly string[]) => boolean): readonly string[] | null {
  const users = readFileSync(USERS, "utf8").split("\n");
  const found = users.map((line) => line.split(":")).find(matches);
  return found === undefined ? null : [found[0] ?? "", found[2] ?? "", found[3] ?? ""];
}
