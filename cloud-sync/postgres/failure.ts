import pg from "pg";
import { messageOf, PorchlightError, type Remedy, systemCodeOf } from "../../shared/core/errors.ts";

/** What a SQLSTATE means for whoever runs the centre (PostgreSQL manual, appendix A). */
interface Condition {
  readonly states: RegExp;
  readonly code: string;
  /** After "the database <place>". */
  readonly says: string;
  readonly hint: string;
  /** What passes is tried again, and waited for. */
  readonly remedy: Remedy;
  /** Whether the server's own words tell more. */
  readonly quoted?: true;
}

const ADDRESS = "porchlight-cloud config check names the address";
/** The first that fits counts. */
const CONDITIONS: readonly Condition[] = [
  {
    states: /^25006$/,
    code: "database.read-only",
    says: "is read-only",
    hint: "it is a standby, or out of room: SELECT pg_is_in_recovery(); SHOW default_transaction_read_only. Writes resume by themselves",
    remedy: "retry",
  },
  {
    states: /^08P01$/,
    code: "database.refused",
    says: "refused our connection",
    hint: "is something else listening there, or a pooler that needs a setting? docs/centre.md, PgBouncer",
    remedy: "retry",
    quoted: true,
  },
  {
    states: /^(08|57P0[1-5])/,
    code: "database.unreachable",
    says: "does not answer",
    hint: `see whether it runs and listens there: ${ADDRESS}`,
    remedy: "retry",
    quoted: true,
  },
  {
    states: /^53300$/,
    code: "database.connections",
    says: "has no connection left",
    hint: "raise its max_connections, or lower database.connections of each instance",
    remedy: "retry",
  },
  {
    states: /^53200$/,
    code: "database.memory",
    says: "is out of memory",
    hint: "raise its shared memory or max_locks_per_transaction: work resumes by itself",
    remedy: "retry",
    quoted: true,
  },
  {
    states: /^53/,
    code: "database.full",
    says: "is out of room",
    hint: "make room on its disk: writes resume by themselves",
    remedy: "retry",
    quoted: true,
  },
  {
    // Serialisation, deadlock, lock timeout, statement timeout, transaction idle too long.
    states: /^(40001|40P01|55P03|57014|25P03)$/,
    code: "database.busy",
    says: "timed out waiting for a lock",
    hint: "see who holds it: SELECT * FROM pg_stat_activity WHERE state <> 'idle'",
    remedy: "retry",
  },
  {
    // A plan or a prepared statement of before somebody changed a table, or a pooler the connection.
    states: /^(0A000|26000)$/,
    code: "database.changed",
    says: "was changed meanwhile",
    hint: "nothing is to be done: the statement is prepared anew",
    remedy: "retry",
    quoted: true,
  },
  {
    states: /^(42P01|42P10|3F000)$/,
    code: "database.schema.missing",
    says: "lacks tables that this program needs: it is being restored, or was never set up",
    hint: "let the restore finish; then, or for a new one: porchlight-cloud migrate",
    remedy: "retry",
    quoted: true,
  },
  {
    states: /^42501$/,
    code: "database.rights",
    says: "withholds a right from us",
    hint: "",
    remedy: "retry",
    quoted: true,
  },
  {
    // A password that was changed on one side, a database that is being made anew.
    states: /^(28|3D000)/,
    code: "database.denied",
    says: "denied access",
    hint: "check database.url and its password: porchlight-cloud config check",
    remedy: "retry",
    quoted: true,
  },
  {
    states: /^(58|XX|F0)/,
    code: "database.failed",
    says: "failed by itself",
    hint: "see the log of the server: its disk or its memory may be damaged",
    remedy: "retry",
    quoted: true,
  },
];
/** Whose connection is of no use any more: another one may lead to a server that can. */
const CONNECTION_SPENT = /^(25006|0A000|26000|3F000|42P01|42P10|57P0|08|58|XX)/;

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
/** OpenSSL's verdicts have codes; that a server has no TLS is a text of pg's. */
const TLS = /^(ERR_(TLS|SSL)|CERT_|UNABLE_TO|SELF_SIGNED|DEPTH_ZERO|INVALID_CA|HOSTNAME_MISMATCH)/;
const NO_TLS = /does not support SSL/;

/**
 * Classifies a database failure. Statements that are wrong in themselves, and constraints they
 * broke, come back as they were: those are mistakes of the program, or of what was stored.
 */
export function databaseFailure(error: unknown, place: string): unknown {
  if (error instanceof PorchlightError) return error;
  if (error instanceof pg.DatabaseError) return serverFailure(error, place);
  const code = systemCodeOf(error) ?? "";
  const message = messageOf(error);
  if (TLS.test(code) || NO_TLS.test(message)) return tlsFailure(message, place, error);
  if (code === "ENOENT" && /^ENOENT.*, open /.test(message)) {
    return tlsFailure(message, place, error);
  }
  // A connect to several addresses that all fail is an AggregateError with the code of the first.
  if (!LOST.test(message) && !NETWORK.has(code)) return error;
  return new PorchlightError(
    "database.unreachable",
    `the database ${place} does not answer: ${code === "" ? message : code}`,
    { remedy: "retry", hint: `see whether it runs and listens there: ${ADDRESS}`, cause: error },
  );
}

/** Whether the connection that gave this error is to be closed rather than used again. */
export function connectionIsSpent(error: unknown): boolean {
  const cause = error instanceof PorchlightError ? error.cause : error;
  if (!(cause instanceof pg.DatabaseError)) return false;
  return CONNECTION_SPENT.test(cause.code ?? "");
}

function serverFailure(error: pg.DatabaseError, place: string): unknown {
  const state = error.code ?? "";
  const condition = CONDITIONS.find(({ states }) => states.test(state));
  if (condition === undefined) return error;
  const { code, says, remedy, quoted } = condition;
  const hint = code === "database.rights" ? grantFor(error.message) : condition.hint;
  const words = quoted ? `: ${error.message}` : "";
  return new PorchlightError(code, `the database ${place} ${says} (${state})${words}`, {
    remedy,
    hint,
    cause: error,
  });
}

const RIGHTS: Readonly<Record<string, string>> = {
  schema: "USAGE, CREATE ON SCHEMA",
  database: "CREATE ON DATABASE",
  table: "SELECT, INSERT, UPDATE, DELETE ON",
  sequence: "USAGE, SELECT ON SEQUENCE",
  function: "EXECUTE ON FUNCTION",
};

/** The server names what it protects, and not which right is missing: docs/centre.md lists them. */
function grantFor(message: string): string {
  const [, kind = "", name = ""] = /permission denied for (\w+) (.+)$/.exec(message) ?? [];
  const right = RIGHTS[kind];
  if (right !== undefined)
    return `as its owner: GRANT ${right} ${name} TO the role of database.url`;
  const owned = /^must be owner of (.+)$/.exec(message)?.[1];
  if (owned !== undefined) return `let the role of database.url own ${owned}: ALTER … OWNER TO`;
  return "docs/centre.md lists the rights that the role of database.url needs";
}

function tlsFailure(reason: string, place: string, cause: unknown): PorchlightError {
  return new PorchlightError("database.tls", `no TLS to the database ${place}: ${reason}`, {
    remedy: "retry",
    hint: "see sslmode and sslrootcert in database.url, the server's certificate, and this machine's clock",
    cause,
  });
}
