// The state behind the three subgraphs: four tables and the edits that change them. Every edit answers with the row changes that a database
// would have logged, and has been made by the time it answers.
import { readFileSync } from "node:fs";
import { join } from "node:path";

const COLUMNS = {
  movies: [
    "movieId", "title", "type", "genre", "creativeType", "source", "mpaaRating", "releaseDate", "runningTime", "imdbRating",
    "rottenTomatoesRating", "popularity",
  ],
  productions: ["ptpId", "movieId", "status", "distributor", "budget", "grossUS", "grossWorldwide"],
  talents: ["talentId", "name", "role"],
  cast: ["creditId", "movieId", "talentId"],
};

/** An edit that cannot be made; `status` is the HTTP status that says why. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// Nine digits at most, so that there is always a next number.
const MOVIE_ID = /^m[1-9][0-9]{0,8}$/;

const numberOf = (id) => Number(id.slice(1));

// Every column of the table, null where the record has none: what a database row looks like.
function row(table, record) {
  return Object.fromEntries(COLUMNS[table].map((column) => [column, record[column] ?? null]));
}

function refuseUnknown(table, fields) {
  const unknown = Object.keys(fields).find((name) => !COLUMNS[table].includes(name));
  if (unknown) throw new Refused(400, `${table} have no ${unknown}`);
}

export class World {
  constructor(folder) {
    const read = (domain) => JSON.parse(readFileSync(join(folder, `${domain}.json`), "utf8"));
    this.tables = {
      movies: new Map(read("movies").map((movie) => [movie.movieId, row("movies", movie)])),
      productions: new Map(read("productions").map((production) => [production.ptpId, row("productions", production)])),
      talents: new Map(),
      cast: new Map(),
    };
    for (const talent of read("talents")) {
      this.tables.talents.set(talent.talentId, row("talents", talent));
      for (const movieId of talent.movies) this.#insertCredit(movieId, talent.talentId);
    }
  }

  movie(movieId) {
    return this.tables.movies.get(movieId) ?? null;
  }

  production(ptpId) {
    return this.tables.productions.get(ptpId) ?? null;
  }

  talent(talentId) {
    return this.tables.talents.get(talentId) ?? null;
  }

  // In the order of their numbers, also where one was deleted and came back: so an id is a cursor that outlives its movie.
  moviePage(first, after) {
    if (after && !MOVIE_ID.test(after)) throw new Refused(400, `${after} is no cursor of this list`);
    const start = after ? numberOf(after) : 0;
    const rest = [...this.tables.movies.values()].filter((movie) => numberOf(movie.movieId) > start);
    rest.sort((one, other) => numberOf(one.movieId) - numberOf(other.movieId));
    return { page: rest.slice(0, first), hasNextPage: rest.length > first, totalCount: this.tables.movies.size };
  }

  productionOf(movieId) {
    return this.#all("productions", (production) => production.movieId === movieId)[0] ?? null;
  }

  talentOf(movieId) {
    return this.#all("cast", (credit) => credit.movieId === movieId).map((credit) => this.talent(credit.talentId));
  }

  moviesOf(talentId) {
    return this.#all("cast", (credit) => credit.talentId === talentId).map((credit) => credit.movieId);
  }

  edit(table, id, patch) {
    const before = this.#existing(table, id);
    const [key] = COLUMNS[table];
    refuseUnknown(table, patch);
    if (key in patch && patch[key] !== id) throw new Refused(400, `${key} is the key and cannot be edited`);
    if (table === "productions" && patch.movieId && patch.movieId !== before.movieId) {
      this.#existing("movies", patch.movieId);
      if (this.productionOf(patch.movieId)) throw new Refused(409, `${patch.movieId} has a production already`);
    }
    return [this.#put(table, { ...before, ...patch })];
  }

  createMovie({ movieId, production = {}, directors = [], ...fields }) {
    const { movies, productions } = this.tables;
    const id = movieId ?? `m${Math.max(...[...movies.keys()].map(numberOf)) + 1}`;
    if (!MOVIE_ID.test(id)) throw new Refused(400, `${id} is no movie id: they are m and a number`);
    if (movies.has(id)) throw new Refused(409, `${id} exists`);
    refuseUnknown("movies", fields);
    refuseUnknown("productions", production ?? {});
    if (!fields.title) throw new Refused(400, "a movie needs a title");
    for (const talentId of directors) this.#existing("talents", talentId);
    const changes = [this.#put("movies", row("movies", { type: "FEATURE", ...fields, movieId: id }))];
    if (production !== null) {
      const ptpId = `p${Math.max(...[...productions.keys()].map(numberOf)) + 1}`;
      const record = { status: "IN_DEVELOPMENT", ...production, ptpId, movieId: id };
      changes.push(this.#put("productions", row("productions", record)));
    }
    return [...changes, ...directors.map((talentId) => this.#insertCredit(id, talentId))];
  }

  // Takes the production and the credits with it, as a foreign key with ON DELETE CASCADE would.
  deleteMovie(movieId) {
    this.#existing("movies", movieId);
    const ofMovie = (record) => record.movieId === movieId;
    return [
      this.#remove("movies", movieId),
      ...this.#all("productions", ofMovie).map((production) => this.#remove("productions", production.ptpId)),
      ...this.#all("cast", ofMovie).map((credit) => this.#remove("cast", credit.creditId)),
    ];
  }

  // Passes a credit on. Without `from` it is a new credit, without `to` it ends.
  move({ movieId, from = null, to = null }) {
    this.#existing("movies", movieId);
    if (to !== null) this.#existing("talents", to);
    if (from === null && to === null) throw new Refused(400, "a move needs `from`, `to` or both");
    const credits = this.#all("cast", (credit) => credit.movieId === movieId);
    if (credits.some((credit) => credit.talentId === to)) throw new Refused(409, `${movieId} credits ${to} already`);
    if (from === null) return [this.#insertCredit(movieId, to)];
    const credit = credits.find((candidate) => candidate.talentId === from);
    if (!credit) throw new Refused(404, `${movieId} does not credit ${from}`);
    return [to === null ? this.#remove("cast", credit.creditId) : this.#put("cast", { ...credit, talentId: to })];
  }

  #all(table, holds) {
    return [...this.tables[table].values()].filter(holds);
  }

  #existing(table, id) {
    const record = this.tables[table].get(id);
    if (!record) throw new Refused(404, `${table} hold no ${id}`);
    return record;
  }

  // Credit numbers are never used twice: a deleted credit's key must not come back as another credit.
  #credits = 0;

  #insertCredit(movieId, talentId) {
    this.#credits += 1;
    return this.#put("cast", { creditId: `c${this.#credits}`, movieId, talentId });
  }

  #put(table, after) {
    const id = after[COLUMNS[table][0]];
    const before = this.tables[table].get(id) ?? null;
    this.tables[table].set(id, after);
    return { table, key: COLUMNS[table][0], id, before, after };
  }

  #remove(table, id) {
    const before = this.tables[table].get(id);
    this.tables[table].delete(id);
    return { table, key: COLUMNS[table][0], id, before, after: null };
  }
}
