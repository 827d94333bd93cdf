// Composes the three subgraphs of configs/movies into its supergraph.graphql, which is committed. Run it after a change of a subgraph;
// `--check` writes nothing and fails where the committed file is not what the subgraphs compose to.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { composed } from "./composition.mjs";
import { CONFIG } from "./places.mjs";

const target = join(CONFIG, "supergraph.graphql");
const header = "# Composed from subgraphs/*.graphql by tests/gateway/compose.mjs. Do not edit.\n";
const text = `${header}${composed()}\n`;
if (!process.argv.includes("--check")) {
  writeFileSync(target, text);
} else if (readFileSync(target, "utf8") !== text) {
  console.error(`${target} is not what its subgraphs compose to: run \`npm run compose\``);
  process.exit(1);
}
