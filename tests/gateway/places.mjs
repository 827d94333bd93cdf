// Where the graph's files lie and on which ports its parts listen unless told otherwise.
import { join } from "node:path";

export const CONFIG = join(import.meta.dirname, "..", "..", "configs", "movies");

export const SUBGRAPHS = ["movies", "productions", "talent"];

export const DEFAULT_PORTS = { gateway: 4000, movies: 4101, productions: 4102, talent: 4103, admin: 4100 };

// `localhost` and not an address, because these names are written into the committed supergraph.
export function localUrl(port) {
  return `http://localhost:${port}/graphql`;
}
