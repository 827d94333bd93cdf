// Tells of row changes as Debezium's PostgreSQL connector does, one line a record, in the form of the `file:` source.
import { appendFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";

const SQL_NAMES = { movies: "movie", productions: "production", talents: "talent", cast: "movie_talent" };

// grossUS -> gross_us
const snake = (name) => name.replace(/([a-z])([A-Z]+)/g, (_, head, tail) => `${head}_${tail.toLowerCase()}`);

const image = (record) => record && Object.fromEntries(Object.entries(record).map(([name, value]) => [snake(name), value]));

const fileOf = (table) => `${table}.ndjson`;

/** Appends to `<folder>/{movies,productions,talents,cast}.ndjson`; all four are there from the start, so that a follower finds them. */
export class EventFiles {
  #transaction = 700;
  #position = 22_000_000;

  constructor(folder) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
    for (const table of Object.keys(SQL_NAMES)) appendFileSync(join(folder, fileOf(table)), "");
  }

  /** Tells of the changes of one edit, which the database would have committed together. */
  append(changes) {
    this.#transaction += 1;
    const told = [];
    for (const change of changes) {
      const op = change.before === null ? "c" : change.after === null ? "d" : "u";
      const key = { [snake(change.key)]: change.id };
      const records = [{ key, value: this.#envelope(change, op) }];
      // A log-compacted topic forgets a key only at a null value, so Debezium follows every delete with one.
      if (op === "d") records.push({ key, value: null });
      const file = fileOf(change.table);
      const timestamp = Date.now();
      const lines = records.map((record) => `${JSON.stringify({ ...record, timestamp })}\n`);
      appendFileSync(join(this.folder, file), lines.join(""));
      told.push({ file, key, op });
    }
    return told;
  }

  #envelope({ table, before, after }, op) {
    this.#position += 168;
    const now = Date.now();
    const times = { ts_ms: now, ts_us: now * 1000, ts_ns: Number(`${now}000000`) };
    const source = {
      version: "3.6.3.Final",
      connector: "postgresql",
      name: "studio",
      ...times,
      snapshot: "false",
      db: "postgres",
      schema: "public",
      table: SQL_NAMES[table],
      txId: this.#transaction,
      lsn: this.#position,
    };
    return { before: image(before), after: image(after), source, transaction: null, op, ...times };
  }
}
