// Where a document can be changed: its nodes with the types that stand there.
import { TypeInfo, parse, parseValue, visit, visitWithTypeInfo } from 'graphql'

/** The nodes of a document by kind, each with what the schema says of its place. */
export function sitesOf(schema, document) {
  const info = new TypeInfo(schema)
  const sites = { fields: [], values: [], spreads: [], inlines: [], sets: [], variables: [], named: [] }
  const note = (list, node, parent) =>
    list.push({
      node, parent, holder: info.getParentType(), type: info.getType(), input: info.getInputType(),
      field: info.getFieldDef(), argument: info.getArgument(), directive: info.getDirective(),
    })
  const enter = (node, _key, parent) => {
    if (node.kind === 'Field') note(sites.fields, node, parent)
    if (node.kind === 'InlineFragment') note(sites.inlines, node, parent)
    if (node.kind === 'FragmentSpread') note(sites.spreads, node, parent)
    if (node.kind === 'SelectionSet') note(sites.sets, node, parent)
    if (node.kind === 'VariableDefinition') note(sites.variables, node, parent)
    if (node.kind === 'NamedType') note(sites.named, node, parent)
    if (node.kind === 'Argument' || node.kind === 'ObjectField') note(sites.values, node, parent)
  }
  visit(document, visitWithTypeInfo(info, { enter }))
  return {
    ...sites,
    operation: document.definitions.find((definition) => definition.kind === 'OperationDefinition'),
    fragments: document.definitions.filter((definition) => definition.kind === 'FragmentDefinition'),
  }
}

export const name = (value) => ({ kind: 'Name', value })

/** A selection set, its braces left out. */
export function selections(text) {
  return structuredClone(parse(`{ ${text} }`, { noLocation: true }).definitions[0].selectionSet.selections)
}

export function value(text) {
  return structuredClone(parseValue(text, { noLocation: true }))
}

/** Directives as they stand behind a field. */
export function directives(text) {
  return structuredClone(parse(`{ a ${text} }`, { noLocation: true }).definitions[0].selectionSet.selections[0].directives)
}

export function variable(text) {
  return structuredClone(parse(`query (${text}) { a }`, { noLocation: true }).definitions[0].variableDefinitions[0])
}

export function definitions(text) {
  return structuredClone(parse(text, { noLocation: true }).definitions)
}
