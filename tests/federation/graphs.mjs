// The federated graphs that owners are judged on: each as the supergraph that Apollo composes, with the fields that each subgraph defines.
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { composeServices } from "@apollo/composition";
import { ROUTER_SUPPORTED_SUPERGRAPH_FEATURES, Supergraph, isInterfaceType, isObjectType } from "@apollo/federation-internals";
import { parse } from "graphql";

// The public example of Federation 2: three subgraphs with every directive, which the subgraph libraries of all languages are tested against.
const EXAMPLE = dirname(createRequire(import.meta.url).resolve("@apollo/federation-subgraph-compatibility-tests/package.json"));

const FOLDERS = {
  movies: join(import.meta.dirname, "..", "..", "configs", "movies", "subgraphs"),
  library: join(import.meta.dirname, "library"),
};

const EXAMPLE_FILES = {
  products: join(EXAMPLE, "products.graphql"),
  inventory: join(EXAMPLE, "dist", "subgraphs", "inventory", "inventory.graphql"),
  users: join(EXAMPLE, "dist", "subgraphs", "users", "users.graphql"),
};

function folder(path) {
  const files = readdirSync(path).sort();
  return Object.fromEntries(files.map((file) => [file.replace(/\.graphql$/, ""), join(path, file)]));
}

function compose(files) {
  const services = Object.entries(files).map(([name, file]) => ({
    name,
    url: `http://${name}`,
    typeDefs: parse(readFileSync(file, "utf8")),
  }));
  const { supergraphSdl, errors } = composeServices(services);
  if (errors) throw new Error(errors.map((error) => error.message).join("\n"));
  return supergraphSdl;
}

// What a subgraph defines as callers see it: an interface's field where an implementation has it, and a type's field where its interface
// is an object there.
function fieldsOf(subgraph, api) {
  const defines = (type, field) => subgraph.schema.type(type)?.field?.(field) !== undefined;
  const types = api.types().filter((type) => isObjectType(type) || isInterfaceType(type));
  const related = (type) => (isInterfaceType(type) ? type.possibleRuntimeTypes() : type.interfaces());
  const names = (type) => [type, ...related(type)].map((one) => one.name);
  const coordinates = types.flatMap((type) => type.fields().map((field) => [type, field.name]));
  return coordinates.filter(([type, field]) => names(type).some((name) => defines(name, field))).map(([type, field]) => `${type.name}.${field}`);
}

// Each graph: its name, the supergraph's SDL, and the coordinates that each subgraph defines.
export function graphs() {
  const texts = {
    movies: compose(folder(FOLDERS.movies)),
    library: compose(folder(FOLDERS.library)),
    example: compose(EXAMPLE_FILES),
    first: readFileSync(join(import.meta.dirname, "first.graphql"), "utf8"),
  };
  return Object.entries(texts).map(([name, sdl]) => {
    const supergraph = Supergraph.build(sdl, { supportedFeatures: ROUTER_SUPPORTED_SUPERGRAPH_FEATURES });
    const fields = Object.fromEntries(supergraph.subgraphs().values().map((one) => [one.name, fieldsOf(one, supergraph.apiSchema())]));
    return { name, sdl, supergraph, fields };
  });
}
