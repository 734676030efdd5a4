import { finished } from "node:stream/promises";
import type pg from "pg";
import { from } from "pg-copy-streams";

/** Sends bytes into a `COPY … FROM STDIN`, and waits until the server has taken them all. */
export async function copyIn(
  client: pg.PoolClient,
  statement: string,
  bytes: Buffer,
): Promise<void> {
  const stream = client.query(from(statement));
  stream.end(bytes);
  await finished(stream);
}
