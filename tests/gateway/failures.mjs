// How a subgraph fails on demand, so that tests see what a gateway makes of it.
import { setTimeout as sleep } from "node:timers/promises";
import { GraphQLError } from "graphql";
import { SUBGRAPHS } from "./places.mjs";
import { Refused } from "./world.mjs";

const MODES = {
  down: "answers every request with HTTP 500",
  closed: "cuts every connection",
  slow: "answers after `ms`",
  error: "throws for its entities",
  null: "says null, and no error, for its entities",
};

export class Failures {
  #bySubgraph = new Map();

  /** `mode` null heals; `ids` confines `error` and `null` to some entities. */
  set({ subgraph, mode = null, ids = null, ms = 15_000 }) {
    if (!SUBGRAPHS.includes(subgraph)) throw new Refused(400, `subgraph is one of ${SUBGRAPHS.join(", ")}`);
    if (mode === null) {
      this.#bySubgraph.delete(subgraph);
      return;
    }
    if (!(mode in MODES)) throw new Refused(400, `mode is null or one of ${Object.keys(MODES).join(", ")}`);
    this.#bySubgraph.set(subgraph, { mode, ids: ids && new Set(ids), ms });
  }

  /** Fails a whole request; true where it has been dealt with. */
  async intercept(subgraph, response) {
    const failure = this.#bySubgraph.get(subgraph);
    if (failure?.mode === "slow") await sleep(failure.ms);
    if (failure?.mode === "closed") response.destroy();
    if (failure?.mode === "down") response.writeHead(500, { "content-type": "text/plain" }).end("down on demand\n");
    return failure?.mode === "closed" || failure?.mode === "down";
  }

  /** The entity, or null, or a rejection. It is a promise so that one entity's failure leaves its neighbours alone. */
  async entity(subgraph, id, value) {
    const failure = this.#bySubgraph.get(subgraph);
    if (!failure || (failure.ids && !failure.ids.has(id))) return value;
    if (failure.mode === "error") throw new GraphQLError(`${subgraph} fails on demand for ${id}`);
    return failure.mode === "null" ? null : value;
  }
}
