// The federated graph of configs/movies in one process: three subgraphs, the gateway, and an admin API that edits, breaks and counts.
// README.md is the manual. It ends on SIGTERM and when its stdin closes, so that a test that was killed leaves nothing behind.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ApolloGateway, RemoteGraphQLDataSource } from "@apollo/gateway";
import { ApolloServer } from "@apollo/server";
import { composed } from "./composition.mjs";
import { EventFiles } from "./events.mjs";
import { Failures } from "./failures.mjs";
import { close, graphqlHandler, jsonHandler, listen, reopen } from "./http.mjs";
import { CONFIG, DEFAULT_PORTS, SUBGRAPHS, localUrl } from "./places.mjs";
import { subgraphServers } from "./subgraphs.mjs";
import { World } from "./world.mjs";

const { values: options } = parseArgs({
  options: {
    events: { type: "string", default: process.env.EVENTS_DIR ?? join(CONFIG, "events") },
    data: { type: "string", default: join(CONFIG, "data") },
    "any-ports": { type: "boolean", default: false },
    behind: { type: "string", multiple: true, default: [] },
    "ignore-stdin": { type: "boolean", default: false },
    ...Object.fromEntries(Object.keys(DEFAULT_PORTS).map((part) => [part, { type: "string" }])),
  },
});

const zeroCounts = () => ({
  gateway: { requests: 0 },
  ...Object.fromEntries(SUBGRAPHS.map((name) => [name, { requests: 0 }])),
  documents: 0,
});

const counts = zeroCounts();
const failures = new Failures();
const world = new World(options.data);
const events = new EventFiles(options.events);
const ports = {};
const servers = {};

const wantedPort = (part) => Number(options[part] ?? (options["any-ports"] ? 0 : DEFAULT_PORTS[part]));

async function serveGraphql(part, server) {
  await server.start();
  const handler = graphqlHandler(server, (response) => {
    counts[part].requests += 1;
    return failures.intercept(part, response);
  });
  servers[part] = await listen(wantedPort(part), handler);
  ports[part] = servers[part].address().port;
}

/** Breaks a subgraph, or heals it. */
async function fail(failure) {
  const listens = failures.set(failure);
  const server = servers[failure.subgraph];
  if (listens && !server.listening) await reopen(server, ports[failure.subgraph]);
  if (!listens && server.listening) await close(server);
  return failure;
}

// Gives up on a subgraph that was made slow after the `patience` of that failure; of itself it waits for ever.
function subgraphClient({ name, url }) {
  const service = new RemoteGraphQLDataSource({ url });
  const { fetcher } = service;
  service.fetcher = (address, request) => {
    const timeout = failures.patience(name);
    return fetcher(address, timeout ? { ...request, timeout } : request);
  };
  return service;
}

await Promise.all(subgraphServers(world, failures, counts).map(([name, server]) => serveGraphql(name, server)));

// The committed supergraph names the default ports; the process may listen elsewhere, and a proxy may stand before it.
const behind = Object.fromEntries(options.behind.map((text) => text.split("=")));
const located = (supergraph) =>
  SUBGRAPHS.reduce(
    (sdl, name) =>
      sdl.replaceAll(`"${localUrl(DEFAULT_PORTS[name])}"`, `"http://127.0.0.1:${behind[name] ?? ports[name]}/graphql"`),
    supergraph,
  );
let supergraphSdl = located(readFileSync(join(CONFIG, "supergraph.graphql"), "utf8"));
let update;

/** Lets another subgraph join: asks it for its schema and composes it with ours. */
async function joined({ name, url }) {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ query: "{ _service { sdl } }" });
  const { data } = await (await fetch(url, { method: "POST", headers, body })).json();
  supergraphSdl = located(composed([{ name, url, sdl: data._service.sdl }]));
  update(supergraphSdl);
  return { name };
}

await serveGraphql(
  "gateway",
  new ApolloServer({
    gateway: new ApolloGateway({
      supergraphSdl: async (manager) => {
        ({ update } = manager);
        return { supergraphSdl };
      },
      buildService: subgraphClient,
    }),
    introspection: true,
    formatError: (error) => failures.shown(error),
    includeStacktraceInErrorResponses: false,
    stopOnTerminationSignals: false,
  }),
);

// An event must never be ahead of the graph: the world has changed before the event is told.
const tell = (changes) => ({ events: events.append(changes) });
servers.admin = await listen(
  wantedPort("admin"),
  jsonHandler({
    "POST /edit/movies/:id": (id, patch) => tell(world.edit("movies", id, patch)),
    "POST /edit/productions/:id": (id, patch) => tell(world.edit("productions", id, patch)),
    "POST /edit/talents/:id": (id, patch) => tell(world.edit("talents", id, patch)),
    "POST /move": (_, move) => tell(world.move(move)),
    "POST /movies": (_, movie) => tell(world.createMovie(movie)),
    "DELETE /movies/:id": (id) => tell(world.deleteMovie(id)),
    "POST /fail": (_, failure) => fail(failure),
    "POST /join": (_, subgraph) => joined(subgraph),
    "POST /hide": (_, hiding) => {
      failures.hide(hiding);
      return hiding;
    },
    "GET /supergraph": () => ({ sdl: supergraphSdl }),
    "GET /counts": () => counts,
    "POST /counts/reset": () => Object.assign(counts, zeroCounts()),
  }),
);

ports.admin = servers.admin.address().port;

const stop = () => process.exit(0);
process.on("SIGTERM", stop);
process.on("SIGINT", stop);
if (!options["ignore-stdin"]) process.stdin.on("end", stop).on("error", stop).resume();

const ready = { gateway: `http://127.0.0.1:${ports.gateway}/graphql`, admin: `http://127.0.0.1:${ports.admin}`, ports };
process.stdout.write(`${JSON.stringify(ready)}\n`);
