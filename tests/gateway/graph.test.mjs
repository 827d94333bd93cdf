// Proves that the graph is what the tests of the indexer take it for: what it answers, how it fails, what it tells.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, afterEach, before, test } from "node:test";
import { CONFIG } from "./places.mjs";

const folder = mkdtempSync(join(tmpdir(), "movies-graph-"));
let graph;
let ready;

before(async () => {
  const program = join(import.meta.dirname, "graph.mjs");
  graph = spawn(process.execPath, [program, "--any-ports", "--events", folder], { stdio: ["pipe", "pipe", "inherit"] });
  const [line] = await once(createInterface(graph.stdout), "line");
  ready = JSON.parse(line);
});

afterEach(async () => {
  if (graph.exitCode !== null) return;
  for (const subgraph of ["movies", "productions", "talent"]) await admin("POST", "/fail", { subgraph, mode: null });
});

after(() => rmSync(folder, { recursive: true }));

async function admin(method, path, body) {
  const response = await fetch(ready.admin + path, { method, body: body && JSON.stringify(body) });
  return { status: response.status, ...(await response.json()) };
}

async function ask(query, variables) {
  const headers = { "content-type": "application/json" };
  const response = await fetch(ready.gateway, { method: "POST", headers, body: JSON.stringify({ query, variables }) });
  return response.json();
}

const DOCUMENT = readFileSync(join(CONFIG, "query.graphql"), "utf8");
const document = async (id) => (await ask(DOCUMENT, { id })).data.movie;

// The lines of a file from one on; Debezium's bulk (source, times) is left to its own test.
function told(file, from = 0) {
  const lines = readFileSync(join(folder, file), "utf8").split("\n").slice(from, -1);
  return lines.map((line) => JSON.parse(line));
}

test("a document joins all three subgraphs", async () => {
  const inception = await document("m2026");
  assert.deepEqual(inception.directors, [{ talentId: "t1", name: "Christopher Nolan", role: "DIRECTOR" }]);
  assert.equal(inception.production.ptpId, "p2026");
});

test("twenty aliases over one fragment are twenty documents of one request", async () => {
  await admin("POST", "/counts/reset");
  const ids = Array.from({ length: 20 }, (_, i) => `m${i + 1}`);
  const variables = Object.fromEntries(ids.map((id, i) => [`i${i}`, id]));
  const head = ids.map((_, i) => `$i${i}: ID!`).join(", ");
  const body = ids.map((_, i) => `d${i}: movie(movieId: $i${i}) { ...Document }`).join(" ");
  const answer = await ask(
    `query Batch(${head}) { ${body} } fragment Document on Movie { movieId title production { ptpId status } talent { name } }`,
    variables,
  );
  assert.deepEqual(Object.values(answer.data).map((movie) => movie.movieId), ids);
  const counts = await admin("GET", "/counts");
  assert.equal(counts.gateway.requests, 1);
  assert.equal(counts.documents, 20);
});

test("the list names every movie once, also those that came back", async () => {
  await admin("DELETE", "/movies/m2025");
  await admin("POST", "/movies", { movieId: "m2025", title: "Again" });
  const query = readFileSync(join(CONFIG, "movie-ids.graphql"), "utf8");
  const seen = new Set();
  let after = null;
  do {
    const { movies } = (await ask(query, { after, first: 1000 })).data;
    for (const { node } of movies.edges) seen.add(node.movieId);
    after = movies.pageInfo.hasNextPage ? movies.pageInfo.endCursor : null;
  } while (after);
  assert.ok(seen.size >= 3200 && seen.has("m2025"));
});

test("a renamed talent is told with both images and stands in every movie", async () => {
  const answer = await admin("POST", "/edit/talents/t2", { name: "R. Polanski" });
  assert.deepEqual(answer.events, [{ file: "talents.ndjson", key: { talent_id: "t2" }, op: "u" }]);
  const [{ key, value }] = told("talents.ndjson");
  assert.deepEqual(key, { talent_id: "t2" });
  assert.deepEqual(value.before, { talent_id: "t2", name: "Roman Polanski", role: "DIRECTOR" });
  assert.deepEqual(value.after, { talent_id: "t2", name: "R. Polanski", role: "DIRECTOR" });
  assert.equal(value.source.table, "talent");
  const back = await ask(readFileSync(join(CONFIG, "movies-of-talent.graphql"), "utf8"), { id: "t2" });
  for (const { movieId } of back.data.talent.movies) {
    assert.equal((await document(movieId)).directors[0].name, "R. Polanski");
  }
});

test("a movie that passes to another director is one event that names both", async () => {
  await admin("POST", "/move", { movieId: "m2026", from: "t1", to: "t3" });
  const { value } = told("cast.ndjson").at(-1);
  assert.equal(value.op, "u");
  assert.deepEqual([value.before.talent_id, value.after.talent_id, value.after.movie_id], ["t1", "t3", "m2026"]);
  assert.deepEqual((await document("m2026")).directors.map((director) => director.talentId), ["t3"]);
  assert.equal((await admin("POST", "/move", { movieId: "m2026", from: "t1", to: "t4" })).status, 404);
});

test("a made movie joins, and a deleted one is gone everywhere", async () => {
  const made = await admin("POST", "/movies", { title: "New", directors: ["t5"] });
  assert.deepEqual(made.events.map(({ file, op }) => `${op} ${file}`), ["c movies.ndjson", "c productions.ndjson", "c cast.ndjson"]);
  const id = made.events[0].key.movie_id;
  assert.equal((await document(id)).production.status, "IN_DEVELOPMENT");

  const linesBefore = told("movies.ndjson").length;
  await admin("DELETE", `/movies/${id}`);
  assert.equal(await document(id), null);
  const moviesOfTalent = await ask("{ talent(talentId: \"t5\") { movies { movieId } } }");
  assert.ok(!moviesOfTalent.data.talent.movies.some(({ movieId }) => movieId === id));
  const [deletion, tombstone] = told("movies.ndjson", linesBefore);
  assert.deepEqual([deletion.value.op, deletion.value.after, tombstone.value], ["d", null, null]);
  assert.deepEqual(deletion.key, tombstone.key);
});

test("an edit that cannot be made is refused and told to nobody", async () => {
  const linesBefore = told("productions.ndjson").length;
  assert.equal((await admin("POST", "/edit/productions/p999999", { status: "WRAPPED" })).status, 404);
  assert.equal((await admin("POST", "/edit/productions/p1", { colour: "red" })).status, 400);
  assert.equal((await admin("POST", "/edit/productions/p1", { ptpId: "p2" })).status, 400);
  assert.equal((await admin("POST", "/edit/productions/p1", { movieId: "m2" })).status, 409);
  assert.equal(told("productions.ndjson").length, linesBefore);
});

test("a subgraph that is down nulls its field with an error that has no path", async () => {
  await admin("POST", "/fail", { subgraph: "productions", mode: "down" });
  const answer = await ask(DOCUMENT, { id: "m7" });
  assert.equal(answer.data.movie.production, null);
  assert.equal(answer.errors[0].path, undefined);
  const { sdl } = await admin("GET", "/supergraph");
  assert.ok(sdl.includes(answer.errors[0].extensions.response.url));
});

test("a failed entity spares its neighbour and names its subgraph", async () => {
  await admin("POST", "/fail", { subgraph: "productions", mode: "error", ids: ["m7"] });
  const answer = await ask("{ a: movie(movieId: \"m7\") { production { ptpId } } b: movie(movieId: \"m9\") { production { ptpId } } }");
  assert.deepEqual(answer.data, { a: { production: null }, b: { production: { ptpId: "p9" } } });
  assert.deepEqual([answer.errors[0].path, answer.errors[0].extensions.serviceName], [["a"], "productions"]);
});

test("a talent list that fails takes its movie with it, because it is never null", async () => {
  await admin("POST", "/fail", { subgraph: "talent", mode: "error", ids: ["m7"] });
  const answer = await ask(DOCUMENT, { id: "m7" });
  assert.equal(answer.data.movie, null);
  assert.equal(answer.errors[0].extensions.serviceName, "talent");
});

test("an entity that is null without an error looks gone", async () => {
  await admin("POST", "/fail", { subgraph: "movies", mode: "null", ids: ["m7"] });
  assert.deepEqual(await ask(DOCUMENT, { id: "m7" }), { data: { movie: null } });
});

// The last test: it ends the graph.
test("it ends when its stdin closes", async () => {
  graph.stdin.end();
  const [code] = await once(graph, "exit");
  assert.equal(code, 0);
});
