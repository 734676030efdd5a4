import pg from "pg";
import { PorchlightError, systemCodeOf } from "../../shared/core/errors.ts";

/** Conditions that pass: SQLSTATE classes and codes (PostgreSQL manual, appendix A). */
const UNREACHABLE = /^(08|57P0[1-5]|53300)/;
/** Serialisation, deadlock, lock timeout, statement timeout, transaction idle too long. */
const BUSY = /^(40001|40P01|55P03|57014|25P03)$/;
const FULL = /^(53100|53200|53400)$/;
const DENIED = /^(28|3D000|42501)/;
const NETWORK = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ENOENT",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
]);
/** pg has no codes for these; the texts are those of pg 8.23 and pg-pool 3.14. */
const LOST = /^(Connection terminated|timeout e(xceeded|xpired)|Client has encountered|Query read)/;

/**
 * Classifies a database failure. Statements that are wrong in themselves, and constraints they
 * broke, come back as they were: those are mistakes of the program.
 */
export function databaseFailure(error: unknown, place: string): unknown {
  if (error instanceof PorchlightError) return error;
  if (error instanceof pg.DatabaseError) return serverFailure(error, place);
  const lost = error instanceof Error && LOST.test(error.message);
  // A connect to several addresses that all fail is an AggregateError with the code of the first.
  return lost || NETWORK.has(systemCodeOf(error) ?? "") ? unreachable(place, error) : error;
}

function serverFailure(error: pg.DatabaseError, place: string): unknown {
  const code = error.code ?? "";
  if (UNREACHABLE.test(code)) return unreachable(place, error);
  if (BUSY.test(code)) {
    return new PorchlightError(
      "database.busy",
      `the database ${place} timed out waiting for a lock (${code})`,
      {
        remedy: "retry",
        hint: "see who holds it: SELECT * FROM pg_stat_activity WHERE state <> 'idle'",
        cause: error,
      },
    );
  }
  if (FULL.test(code)) {
    return new PorchlightError(
      "database.full",
      `the disk of the database ${place} is full (${code})`,
      {
        remedy: "retry",
        hint: "make room on its disk: writes resume by themselves",
        cause: error,
      },
    );
  }
  if (!DENIED.test(code)) return error;
  return new PorchlightError("database.denied", `the database ${place} denied access (${code})`, {
    hint: "check database.url: porchlight-cloud config check",
    cause: error,
  });
}

function unreachable(place: string, cause: unknown): PorchlightError {
  return new PorchlightError("database.unreachable", `the database ${place} does not answer`, {
    remedy: "retry",
    hint: "see whether it runs and listens there: porchlight-cloud config check names the address",
    cause,
  });
}
