/** Codes that a device joins with, in the database: each is good once, and soon. */
import { z } from "zod";
import { PorchlightError } from "../../shared/core/errors.ts";
import { hashOfCode, readCode } from "../../shared/protocol/pairing.ts";
import type { Connection, Database } from "../postgres/database.ts";

/** Whom a code was made for. */
export interface Invited {
  /** Null: whoever comes with it, by the id that it has or is given. */
  readonly device: string | null;
  readonly name: string | null;
}

export interface PairingCodes {
  /** Keeps a code. Throws `pairing.full` where many are waiting. */
  invite(code: string, whom: Invited): Promise<void>;
  /** Uses it up; null where it is unknown, used or too old. */
  redeem(code: string): Promise<Invited | null>;
}

/** As long as it takes to walk to the door. */
export const CODE_LIFE_S = 900;
/** 40 bits, five times a minute from an address, a few codes: nobody guesses one in its time. */
const WAITING_MAX = 100;

const FORGET = "DELETE FROM pairing_codes WHERE expires_at < now()";
const WAITING = "SELECT count(*) AS waiting FROM pairing_codes";
const INVITE = `INSERT INTO pairing_codes (code_hash, device, name, expires_at)
  VALUES ($1, $2, $3, now() + make_interval(secs => ${CODE_LIFE_S}))`;
const REDEEM = `DELETE FROM pairing_codes WHERE code_hash = $1 AND expires_at >= now()
  RETURNING device, name`;
const waitingSchema = z.object({ waiting: z.bigint() });
const invitedRows = z.array(
  z.object({ device: z.string().nullable(), name: z.string().nullable() }),
);

export function createPairingCodes(database: Database): PairingCodes {
  return {
    invite: (code, { device, name }) =>
      database.transaction(async (connection: Connection) => {
        await connection.query(FORGET);
        const [row] = await connection.query(WAITING);
        if (waitingSchema.parse(row).waiting >= WAITING_MAX) {
          throw new PorchlightError("pairing.full", `${WAITING_MAX} codes wait to be used`, {
            hint: `wait ${CODE_LIFE_S / 60} minutes, or make a bundle: porchlight-cloud devices add NAME --out BUNDLE`,
          });
        }
        await connection.query(INVITE, [hashOfCode(readCode(code)), device, name]);
      }),
    async redeem(code) {
      const hash = hashOfCode(readCode(code));
      return invitedRows.parse(await database.query(REDEEM, [hash]))[0] ?? null;
    },
  };
}
