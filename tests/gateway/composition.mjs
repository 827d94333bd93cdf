// Composes the three subgraphs of configs/movies, and others beside them, into a supergraph, as a schema registry would.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { composeServices } from "@apollo/composition";
import { parse } from "graphql";
import { CONFIG, DEFAULT_PORTS, SUBGRAPHS, localUrl } from "./places.mjs";

const ours = (name) => ({
  name,
  url: localUrl(DEFAULT_PORTS[name]),
  typeDefs: parse(readFileSync(join(CONFIG, "subgraphs", `${name}.graphql`), "utf8")),
});

/** The supergraph of the three and of others, each `{ name, url, sdl }`; throws what composition complains about. */
export function composed(others = []) {
  const theirs = others.map(({ name, url, sdl }) => ({ name, url, typeDefs: parse(sdl) }));
  const { errors, supergraphSdl } = composeServices([...SUBGRAPHS.map(ours), ...theirs]);
  if (errors) throw new Error(errors.map(({ message }) => message).join("\n"));
  return supergraphSdl;
}
