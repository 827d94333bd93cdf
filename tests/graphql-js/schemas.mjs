// The schemas that queries are judged against: as their files say them to Rust, and built for graphql-js.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { buildASTSchema, buildClientSchema, parse, visit } from 'graphql'

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url))

/** A name for people, the file, and whether it is a supergraph. */
export const SCHEMAS = {
  github: { file: path('node_modules/@octokit/graphql-schema/schema.graphql') },
  'github-json': { file: path('node_modules/@octokit/graphql-schema/schema.json') },
  shopify: { file: path('node_modules/@shopify/hydrogen-react/storefront.schema.json') },
  movies: { file: path('../../configs/movies/supergraph.graphql'), supergraph: true },
  shows: { file: path('shows.graphql') },
}

const built = new Map()

export function schemaOf(name) {
  if (!built.has(name)) built.set(name, build(SCHEMAS[name]))
  return built.get(name)
}

function build({ file, supergraph }) {
  const text = readFileSync(file, 'utf8')
  if (file.endsWith('.json')) {
    const answer = JSON.parse(text)
    return buildClientSchema(answer.data ?? answer)
  }
  const document = parse(text, { noLocation: true })
  return buildASTSchema(supergraph ? api(document) : document, { assumeValidSDL: true })
}

const isMachinery = (name) => /^(join|link|core|federation)__/.test(name)

/** What callers of the gateway see of a supergraph. */
function api(document) {
  const definitions = document.definitions
    .filter((definition) => definition.kind !== 'DirectiveDefinition' && !isMachinery(definition.name?.value ?? ''))
    .map((definition) => (definition.kind === 'SchemaDefinition' ? { ...definition, directives: [] } : definition))
  return visit({ ...document, definitions }, { Directive: () => null })
}
