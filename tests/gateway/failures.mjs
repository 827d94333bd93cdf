// How a subgraph fails on demand, so that tests see what a gateway makes of it.
import { setTimeout as sleep } from "node:timers/promises";
import { GraphQLError } from "graphql";
import { SUBGRAPHS } from "./places.mjs";
import { Refused } from "./world.mjs";

const MODES = {
  down: "answers every request with HTTP 500",
  busy: "answers every request with HTTP 503 and Retry-After",
  refused: "listens no more",
  closed: "cuts every connection",
  slow: "answers after `ms`",
  cut: "answers with half of a JSON object",
  page: "answers with a page of HTML",
  refuses: "answers with an error and no data",
  error: "throws for its entities",
  null: "says null, and no error, for its entities",
  field: "throws at a leaf of its entities",
  nonnull: "says null for a leaf that is never null",
  blames: "throws for its entities and names `other` in the error's extensions",
};

const PAGES = {
  down: [500, { "content-type": "text/plain" }, "down on demand\n"],
  busy: [503, { "content-type": "text/plain", "retry-after": "1" }, "busy on demand\n"],
  cut: [200, { "content-type": "application/json" }, '{"data": {"'],
  page: [200, { "content-type": "text/html" }, "<html><body>Sign in</body></html>\n"],
  refuses: [200, { "content-type": "application/json" }, '{"errors": [{"message": "refused on demand"}]}'],
};

// What hides what a subgraph said, as production setups do: each makes an error of the gateway into the one that its caller sees.
const HIDINGS = {
  messages: ({ message, extensions, ...rest }) => ({ ...rest, message: "Internal server error", extensions: { code: extensions?.code } }),
  extensions: ({ message, locations, path }) => ({ message, locations, path }),
  all: () => ({ message: "Internal server error" }),
  // Apollo Router's default, and what it adds where it hides nothing: a subgraph's own `service` stays as it was.
  router: ({ path }) => ({ message: "Subgraph errors redacted", path }),
  service: ({ message, path, extensions: { serviceName, ...rest } = {} }) => ({
    message,
    path,
    extensions: serviceName ? { service: serviceName, ...rest } : rest,
  }),
};

export class Failures {
  #bySubgraph = new Map();
  #hiding = null;

  /** `mode` null heals; `ids` confines failures of entities to some of them. Says whether the subgraph listens. */
  set({ subgraph, mode = null, ids = null, ms = 15_000, patience = 0, other = null }) {
    if (!SUBGRAPHS.includes(subgraph)) throw new Refused(400, `subgraph is one of ${SUBGRAPHS.join(", ")}`);
    if (mode !== null && !(mode in MODES)) throw new Refused(400, `mode is null or one of ${Object.keys(MODES).join(", ")}`);
    if (mode === null) this.#bySubgraph.delete(subgraph);
    else this.#bySubgraph.set(subgraph, { mode, ids: ids && new Set(ids), ms, patience, other });
    return mode !== "refused";
  }

  /** How long the gateway waits for a subgraph, in milliseconds; 0 is for ever. */
  patience(subgraph) {
    return this.#bySubgraph.get(subgraph)?.patience ?? 0;
  }

  /** Hides from now on what subgraphs said; null shows it. */
  hide({ hiding = null }) {
    if (hiding !== null && !(hiding in HIDINGS)) throw new Refused(400, `hiding is null or one of ${Object.keys(HIDINGS).join(", ")}`);
    this.#hiding = hiding;
  }

  /** The error that the gateway's caller sees. */
  shown(error) {
    return this.#hiding ? HIDINGS[this.#hiding](error) : error;
  }

  /** Fails a whole request; true where it has been dealt with. */
  async intercept(subgraph, response) {
    const failure = this.#bySubgraph.get(subgraph);
    if (failure?.mode === "slow") await sleep(failure.ms);
    if (failure?.mode === "closed") response.destroy();
    const page = PAGES[failure?.mode];
    if (page) response.writeHead(page[0], page[1]).end(page[2]);
    return failure?.mode === "closed" || page !== undefined;
  }

  /** The entity, or null, or a rejection. It is a promise so that one entity's failure leaves its neighbours alone. */
  async entity(subgraph, id, value) {
    const failure = this.#of(subgraph, id);
    if (failure?.mode === "error") throw new GraphQLError(`${subgraph} fails on demand for ${id}`);
    if (failure?.mode === "blames") {
      throw new GraphQLError(`${subgraph} fails on demand for ${id}`, { extensions: { code: "UPSTREAM", service: failure.other } });
    }
    return failure?.mode === "null" ? null : value;
  }

  /** A leaf's value, or what `field` and `nonnull` make of it. */
  leaf(subgraph, id, value, { throws }) {
    const failure = this.#of(subgraph, id);
    if (failure?.mode === "field" && throws) throw new GraphQLError(`${subgraph} fails on demand at a leaf of ${id}`);
    return failure?.mode === "nonnull" && !throws ? null : value;
  }

  #of(subgraph, id) {
    const failure = this.#bySubgraph.get(subgraph);
    return failure && (!failure.ids || failure.ids.has(id)) ? failure : undefined;
  }
}
