import type { Connection, Database, Prepared } from "../../cloud-sync/postgres/database.ts";
import type { Faults } from "./faults.ts";

const WRITE = /^\s*(INSERT INTO|UPDATE|DELETE FROM|COPY)\s+(\w+)/;

/** A database whose client may end at each of its writes, and on either side of the commit. */
export function faultyDatabase(database: Database, faults: Faults): Database {
  const writing = <T>(text: string, work: () => Promise<T>): Promise<T> => {
    const [, verb, table] = WRITE.exec(text) ?? [];
    return verb === undefined ? work() : faults.aroundAsync(`${verb} ${table}`, work);
  };
  const faulty = (connection: Connection): Connection => ({
    query: (statement, values) =>
      writing(textOf(statement), () => connection.query(statement, values)),
    copyIn: (text, bytes) => writing(text, () => connection.copyIn(text, bytes)),
  });
  return {
    place: database.place,
    query: (statement, values) =>
      writing(textOf(statement), () => database.query(statement, values)),
    transaction: (work, signal) =>
      faults.aroundAsync("the commit", () =>
        database.transaction((connection) => work(faulty(connection)), signal),
      ),
    close: () => database.close(),
  };
}

function textOf(statement: string | Prepared): string {
  return typeof statement === "string" ? statement : statement.text;
}
