// Queries made from a seed over each graph, with the subgraphs that Apollo's query planner asks for each path, one JSON line each.
// node plans.mjs SEED COUNT
import { operationFromDocument } from "@apollo/federation-internals";
import { QueryPlanner } from "@apollo/query-planner";
import { Kind, getNamedType, isAbstractType, isCompositeType, isInputObjectType, isEnumType, isListType, isNonNullType, parse, validate } from "graphql";
import { graphs } from "./graphs.mjs";

const DEPTH = 4;

const [seed, count] = process.argv.slice(2).map(Number);

// Mulberry32: small, and the same everywhere.
function random(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function literal(type) {
  if (isNonNullType(type)) return literal(type.ofType);
  if (isListType(type)) return "[]";
  if (isEnumType(type)) return type.getValues()[0].name;
  if (isInputObjectType(type)) {
    const fields = Object.values(type.getFields()).filter((field) => isNonNullType(field.type));
    return `{ ${fields.map((field) => `${field.name}: ${literal(field.type)}`).join(", ")} }`;
  }
  return { Int: "1", Float: "1.5", Boolean: "true" }[type.name] ?? '"a"';
}

function selection(schema, type, depth, next) {
  const parts = [];
  if (!isAbstractType(type) || type.getFields) {
    for (const field of Object.values(type.getFields())) {
      if (next() < 0.45) continue;
      const inner = getNamedType(field.type);
      if (isCompositeType(inner) && depth === 0) continue;
      const required = field.args.filter((argument) => isNonNullType(argument.type));
      const args = required.map((argument) => `${argument.name}: ${literal(argument.type)}`).join(", ");
      const alias = next() < 0.2 ? `${field.name}${Math.floor(next() * 3)}: ` : "";
      const below = isCompositeType(inner) ? ` ${selection(schema, inner, depth - 1, next)}` : "";
      parts.push(`${alias}${field.name}${args && `(${args})`}${below}`);
    }
  }
  if (isAbstractType(type)) {
    for (const object of schema.getPossibleTypes(type)) {
      if (next() < 0.6) parts.push(`... on ${object.name} ${selection(schema, object, depth, next)}`);
    }
  }
  if (parts.length === 0 || next() < 0.1) parts.push("__typename");
  return `{ ${parts.join(" ")} }`;
}

// Adds the paths that a fetch answers. The planner renames what would clash, and says so at the end of the name.
function leaves(set, fragments, path, add) {
  for (const node of set.selections) {
    if (node.kind === Kind.FIELD) {
      const key = (node.alias ?? node.name).value.replace(/__alias_\d+$/, "");
      const below = [...path, key];
      if (node.selectionSet) leaves(node.selectionSet, fragments, below, add);
      else add(below.join("."));
    } else {
      leaves(node.selectionSet ?? fragments[node.name.value].selectionSet, fragments, path, add);
    }
  }
}

function walk(node, path, asked) {
  if (!node) return;
  if (node.kind === "Fetch") {
    const document = parse(node.operation);
    const fragments = Object.fromEntries(document.definitions.filter((one) => one.kind === Kind.FRAGMENT_DEFINITION).map((one) => [one.name.value, one]));
    const operation = document.definitions.find((one) => one.kind === Kind.OPERATION_DEFINITION);
    const set = node.requires ? operation.selectionSet.selections[0].selectionSet : operation.selectionSet;
    leaves(set, fragments, path, (leaf) => (asked[leaf] ??= new Set()).add(node.serviceName));
  } else if (node.kind === "Flatten") {
    // Steps into lists, and conditions on types, are no response keys.
    const steps = node.path.filter((step) => step !== "@" && !String(step).startsWith("... on "));
    walk(node.node, [...path, ...steps.map((step) => String(step).split("|")[0])], asked);
  } else if (node.kind === "Sequence" || node.kind === "Parallel") {
    node.nodes.forEach((inner) => walk(inner, path, asked));
  } else {
    throw new Error(`a plan with ${node.kind}`);
  }
}

for (const { name, sdl, supergraph, fields } of graphs()) {
  console.log(JSON.stringify({ graph: name, sdl, fields }));
  const planner = new QueryPlanner(supergraph);
  const api = supergraph.apiSchema();
  const schema = api.toGraphQLJSSchema();
  const next = random(seed);
  for (let made = 0; made < count; ) {
    const query = `query Q ${selection(schema, schema.getQueryType(), DEPTH, next)}`;
    const document = parse(query);
    if (validate(schema, document).length > 0) continue;
    made += 1;
    const asked = {};
    for (const label of [true, false]) {
      const overrideConditions = new Map([["percent(50)", label]]);
      walk(planner.buildQueryPlan(operationFromDocument(api, document), { overrideConditions }).node, [], asked);
    }
    const plan = Object.fromEntries(Object.entries(asked).map(([path, subgraphs]) => [path, [...subgraphs].sort()]));
    console.log(JSON.stringify({ graph: name, query, plan }));
  }
}
