// One change each, made to a valid document: most break one of graphql-js' rules, some break none.
import {
  getNamedType, getNullableType, isCompositeType, isEnumType, isInputObjectType, isInputType, isLeafType, isListType,
  isNonNullType, isObjectType, isRequiredArgument, isRequiredInputField, print,
} from 'graphql'
import { definitions, directives, name, selections, value, variable } from './sites.mjs'
import { literal } from './random.mjs'

// Each gets (dice, schema, document, sites) and changes the document; `false` where it finds nothing to change.
const change = {}
export default change

const pick = (dice, list) => (list.length ? dice.pick(list) : undefined)
const insert = (dice, list, ...items) => list.splice(dice.below(list.length + 1), 0, ...items)
const allTypes = (schema, fits) => Object.values(schema.getTypeMap()).filter((type) => !type.name.startsWith('__') && fits(type))
const isUsed = (field) => field.field && !field.node.name.value.startsWith('__')
const leaf = (dice, sites) => pick(dice, sites.fields.filter((f) => f.type && isLeafType(getNamedType(f.type))))
const composite = (dice, sites) => pick(dice, sites.fields.filter((f) => f.type && isCompositeType(getNamedType(f.type))))
/** A literal that stands as an argument or in an input object, with its input type. */
const written = (dice, sites, fits = () => true) =>
  pick(dice, sites.values.filter((v) => v.node.value.kind !== 'Variable' && inputOf(v) && fits(inputOf(v), v)))
const inputOf = (site) => site.given ?? site.argument?.type
/** Fields with arguments of which one is chosen and written anew. */
function argument(dice, sites, fits) {
  const found = pick(dice, sites.fields.filter((f) => f.field?.args.some((arg) => fits(arg.type))))
  if (!found) return undefined
  const arg = dice.pick(found.field.args.filter((a) => fits(a.type)))
  found.node.arguments = found.node.arguments.filter((given) => given.name.value !== arg.name)
  const node = { kind: 'Argument', name: name(arg.name), value: value('0') }
  insert(dice, found.node.arguments, node)
  return { node, type: arg.type }
}
const named = (wanted) => (type) => getNamedType(type).name === wanted && !isListType(getNullableType(type))
/** A change that writes a literal where an argument of this type stands. */
const write = (fits, ...texts) => (dice, _schema, _document, sites) => {
  const found = argument(dice, sites, fits)
  if (!found) return false
  found.node.value = value(dice.pick(texts))
}

change.nothing = () => {}
change.unknownField = (dice, _s, _d, sites) => { pick(dice, sites.fields).node.name.value += 'X' }
change.typoField = (dice, _s, _d, sites) => {
  const node = pick(dice, sites.fields).node
  node.name.value = node.name.value.slice(0, -1) || 'x'
}
change.foreignField = (dice, schema, _d, sites) => {
  const other = dice.pick(allTypes(schema, isObjectType))
  insert(dice, pick(dice, sites.sets).node.selections, ...selections(dice.pick(Object.keys(other.getFields()))))
}
change.fieldOnUnion = (dice, _s, _d, sites) => {
  const found = pick(dice, sites.sets.filter((set) => set.holder && !isObjectType(set.holder)))
  if (!found) return false
  insert(dice, found.node.selections, ...selections(dice.pick(['id', 'name', 'title', 'totalCount'])))
}
change.unknownArgument = (dice, _s, _d, sites) => {
  insert(dice, pick(dice, sites.fields).node.arguments, { kind: 'Argument', name: name('nowhere'), value: value('1') })
}
change.duplicateArgument = (dice, _s, _d, sites) => {
  const found = pick(dice, sites.fields.filter((f) => f.node.arguments.length))
  if (!found) return false
  insert(dice, found.node.arguments, structuredClone(dice.pick(found.node.arguments)))
}
change.missingArgument = (dice, _s, _d, sites) => {
  const found = pick(dice, sites.fields.filter((f) => f.field?.args.some(isRequiredArgument)))
  if (!found) return false
  found.node.arguments = dice.chance(0.5) ? [] : found.node.arguments.slice(1)
}
change.nullArgument = (dice, _s, _d, sites) => {
  const found = argument(dice, sites, isNonNullType)
  if (!found) return false
  found.node.value = value('null')
}
change.intArgument = write(named('Int'), '"1"', '1.0', '2147483648', '-2147483649', 'true', '[1]', '{a: 1}', 'ONE', '1', '99999999999999999999')
change.floatArgument = write(named('Float'), '"1"', '1', '1e400', 'true', '123456789012345678901234567890')
change.stringArgument = write(named('String'), '1', 'true', 'WORD', '["a"]', '{}', '"""block"""', '"\\u00e9"')
change.booleanArgument = write(named('Boolean'), '"true"', '1', 'YES', '[true]', 'null', 'false')
change.idArgument = write(named('ID'), '1', '1.5', 'true', 'WORD', '["a"]', '99999999999999999999', '"x"')
change.enumArgument = write((type) => isEnumType(getNamedType(type)), '"DRAMA"', 'NO_SUCH_VALUE', '1', 'true', 'null', '{}', '[NO_SUCH_VALUE]')
change.listArgument = (dice, _s, _d, sites) => {
  const found = argument(dice, sites, (type) => isListType(getNullableType(type)))
  if (!found) return false
  const item = literal(dice, getNullableType(found.type).ofType)
  found.node.value = value(dice.pick([item, `[${item}, null]`, `[[${item}]]`, '[]', '{}', `[${item}, {nowhere: 1}]`]))
}
const objects = (type) => isInputObjectType(getNamedType(type))
const object = (dice, sites) => {
  const found = argument(dice, sites, objects)
  return found && { ...found, input: getNamedType(found.type) }
}
change.objectArgument = write(objects, '1', '"text"', '[]', '{}', '{nowhere: 1}', 'null', '[{}]', '[[{}]]')
change.unknownInputField = (dice, _s, _d, sites) => {
  const found = object(dice, sites)
  if (!found) return false
  found.node.value = value(literal(dice, found.input))
  insert(dice, found.node.value.fields, { kind: 'ObjectField', name: name('nowhere'), value: value('1') })
}
change.missingInputField = (dice, _s, _d, sites) => {
  const found = object(dice, sites)
  if (!found || !Object.values(found.input.getFields()).some(isRequiredInputField)) return false
  found.node.value = value(literal(dice, found.input))
  found.node.value.fields = found.node.value.fields.slice(1)
}
change.duplicateInputField = (dice, _s, _d, sites) => {
  const found = object(dice, sites)
  if (!found) return false
  const field = dice.pick(Object.values(found.input.getFields()))
  const one = `${field.name}: ${literal(dice, field.type)}`
  const rest = Object.values(found.input.getFields()).filter((f) => isRequiredInputField(f) && f !== field)
  found.node.value = value(`{${[one, ...rest.map((f) => `${f.name}: ${literal(dice, f.type)}`), one].join(', ')}}`)
}
change.wrongInputField = (dice, _s, _d, sites) => {
  const found = object(dice, sites)
  if (!found) return false
  found.node.value = value(literal(dice, found.input))
  const field = dice.pick(Object.values(found.input.getFields()))
  found.node.value.fields = found.node.value.fields.filter((f) => f.name.value !== field.name)
  const wrong = dice.pick(['null', '{no: 1}', 'WORD', '1.5', '"text"', '[[1]]', '$nowhere'])
  insert(dice, found.node.value.fields, { kind: 'ObjectField', name: name(field.name), value: value(wrong) })
}

change.leafWithSelection = (dice, _s, _d, sites) => {
  const found = leaf(dice, sites)
  if (!found) return false
  found.node.selectionSet = { kind: 'SelectionSet', selections: selections(dice.pick(['id', '__typename', 'a { b }'])) }
}
change.compositeWithout = (dice, _s, _d, sites) => {
  const found = composite(dice, sites)
  if (!found) return false
  delete found.node.selectionSet
}
change.unknownFragment = (dice, _s, _d, sites) => insert(dice, pick(dice, sites.sets).node.selections, ...selections('...Nowhere')) && undefined
change.unusedFragment = (dice, schema, document, _sites) => {
  const type = dice.pick(allTypes(schema, isObjectType))
  insert(dice, document.definitions, ...definitions(`fragment Unused on ${type.name} { __typename }`))
}
change.unusedFragments = (dice, schema, document) => {
  const type = dice.pick(allTypes(schema, isCompositeType)).name
  document.definitions.push(...definitions(`fragment U1 on ${type} { ...U2 } fragment U2 on ${type} { __typename }`))
}
change.duplicateFragment = (dice, _s, document, sites) => {
  const found = pick(dice, sites.fragments)
  if (!found) return false
  insert(dice, document.definitions, structuredClone(found))
}
change.cycle = (dice, _s, document, sites) => {
  const found = pick(dice, sites.sets.filter((set) => set.holder))
  const type = found.holder.name
  const length = 1 + dice.below(3)
  found.node.selections.push(...selections('...C0'))
  for (let n = 0; n < length; n++) {
    document.definitions.push(...definitions(`fragment C${n} on ${type} { __typename ...C${(n + 1) % length} }`))
  }
}
change.fragmentOnLeaf = (dice, schema, document, sites) => {
  const type = dice.pick(allTypes(schema, (t) => !isCompositeType(t))).name
  const text = dice.chance(0.5) ? `... on ${type} { __typename }` : '...Odd'
  insert(dice, pick(dice, sites.sets).node.selections, ...selections(text))
  if (text === '...Odd') document.definitions.push(...definitions(`fragment Odd on ${type} { __typename }`))
}
change.impossibleInline = (dice, schema, _d, sites) => {
  const type = dice.pick(allTypes(schema, isCompositeType)).name
  insert(dice, pick(dice, sites.sets).node.selections, ...selections(`... on ${type} { __typename }`))
}
change.impossibleSpread = (dice, schema, document, sites) => {
  const type = dice.pick(allTypes(schema, isCompositeType)).name
  insert(dice, pick(dice, sites.sets).node.selections, ...selections('...Other'))
  document.definitions.push(...definitions(`fragment Other on ${type} { __typename }`))
}
change.unknownType = (dice, _s, _d, sites) => {
  const found = pick(dice, sites.named)
  if (!found) return false
  found.node.name.value += 'X'
}
change.unknownInline = (dice, _s, _d, sites) => insert(dice, pick(dice, sites.sets).node.selections, ...selections('... on Nowhere { a b }')) && undefined

change.unusedVariable = (dice, schema, _d, sites) => {
  const type = dice.pick(allTypes(schema, isInputType))
  insert(dice, sites.operation.variableDefinitions, variable(`$unused: ${type.name}`))
}
change.undefinedVariable = (dice, _s, _d, sites) => {
  const found = pick(dice, sites.values)
  if (!found) return false
  found.node.value = value('$undefined')
}
change.undefinedByRemoval = (dice, _s, _d, sites) => {
  const list = sites.operation.variableDefinitions
  if (!list.length) return false
  list.splice(dice.below(list.length), 1)
}
change.duplicateVariable = (dice, _s, _d, sites) => {
  const list = sites.operation.variableDefinitions
  if (!list.length) return false
  insert(dice, list, structuredClone(dice.pick(list)))
}
change.outputVariable = (dice, schema, _d, sites) => {
  const found = pick(dice, sites.variables)
  if (!found) return false
  found.node.type = variable(`$a: ${dice.pick(allTypes(schema, isCompositeType)).name}`).type
  delete found.node.defaultValue
}
change.variableType = (dice, schema, _d, sites) => {
  const found = pick(dice, sites.variables)
  if (!found) return false
  const was = print(found.node.type)
  const bare = was.replace(/!$/, '')
  const other = dice.pick(['Int', 'String', 'Boolean', 'ID', 'Float', dice.pick(allTypes(schema, isInputType)).name])
  found.node.type = variable(`$a: ${dice.pick([other, `${other}!`, `[${bare}]`, `[${was}]!`, bare, `${bare}!`])}`).type
  if (dice.chance(0.6)) delete found.node.defaultValue
}
change.variableDefault = (dice, _s, _d, sites) => {
  const found = pick(dice, sites.variables)
  if (!found) return false
  found.node.defaultValue = value(dice.pick(['null', '1', '"a"', 'true', 'WORD', '[]', '{}', '{nowhere: 1}', '1.5', '[null]']))
}
change.nullableVariable = (dice, _s, _d, sites) => {
  const found = argument(dice, sites, isNonNullType)
  if (!found) return false
  found.node.value = value('$loose')
  const type = getNullableType(found.type)
  const end = dice.pick(['', ` = ${literal(dice, type)}`, ' = null'])
  sites.operation.variableDefinitions.push(variable(`$loose: ${type}${end}`))
}
change.variableInList = (dice, _s, _d, sites) => {
  const found = argument(dice, sites, (type) => isListType(getNullableType(type)))
  if (!found) return false
  const item = getNullableType(found.type).ofType
  found.node.value = value(dice.pick(['[$item]', '$item', '[[$item]]']))
  sites.operation.variableDefinitions.push(variable(`$item: ${dice.pick([item, getNullableType(item), found.type])}`))
}
change.variableInObject = (dice, _s, _d, sites) => {
  const found = object(dice, sites)
  if (!found) return false
  const field = dice.pick(Object.values(found.input.getFields()))
  found.node.value = value(literal(dice, found.input))
  if (found.node.value.kind !== 'ObjectValue') return false
  found.node.value.fields = found.node.value.fields.filter((f) => f.name.value !== field.name)
  found.node.value.fields.push({ kind: 'ObjectField', name: name(field.name), value: value('$part') })
  sites.operation.variableDefinitions.push(variable(`$part: ${dice.pick([field.type, getNullableType(field.type), 'Int'])}`))
}

change.unknownDirective = (dice, _s, _d, sites) => pick(dice, sites.fields).node.directives.push(...directives('@nowhere'))  && undefined
change.directiveOnField = (dice, _s, _d, sites) => {
  const texts = ['@include', '@skip', '@include(if: "yes")', '@skip(if: null)', '@include(if: true, unless: true)', '@skip(if: $nowhere)',
    '@include(if: true) @include(if: false)', '@include(if: true) @skip(if: false)', '@deprecated', '@specifiedBy(url: "a")', '@include(if: true, if: true)',
    '@oneOf', '@tag(name: "a") @tag(name: "b", weights: [1, 2.5])', '@once @once', '@tag(name: 1)', '@once(only: null)', '@internal']
  pick(dice, sites.fields).node.directives.push(...directives(dice.pick(texts)))
}
change.directiveElsewhere = (dice, _s, _d, sites) => {
  const text = dice.pick(['@include(if: true)', '@skip(if: false)', '@deprecated', '@nowhere', '@once', '@tag(name: "a")'])
  const places = [sites.operation, ...sites.fragments, ...sites.variables.map((v) => v.node), ...sites.inlines.map((v) => v.node), ...sites.spreads.map((v) => v.node)]
  const node = dice.pick(places)
  node.directives = [...(node.directives ?? []), ...directives(text)]
}

change.overlapNames = (dice, _s, _d, sites) => {
  const found = pick(dice, sites.sets.filter((set) => set.holder?.getFields))
  if (!found) return false
  const leaves = Object.values(found.holder.getFields()).filter((f) => isLeafType(getNamedType(f.type)) && !f.args.some(isRequiredArgument))
  if (leaves.length < 2) return false
  insert(dice, found.node.selections, ...selections(`same: ${dice.pick(leaves).name}`))
  insert(dice, found.node.selections, ...selections(`same: ${dice.pick(leaves).name}`))
}
change.overlapArguments = (dice, _s, _d, sites) => {
  const found = pick(dice, sites.fields.filter((f) => f.node.arguments.length && f.parent))
  if (!found) return false
  const copy = structuredClone(found.node)
  copy.arguments = dice.chance(0.5) ? copy.arguments.slice(1) : copy.arguments.reverse()
  insert(dice, found.parent, copy)
}
change.overlapDeep = (dice, _s, _d, sites) => {
  const found = composite(dice, sites)
  if (!found) return false
  const copy = structuredClone(found.node)
  const inner = getNamedType(found.type).getFields?.()
  if (!inner) return false
  const leaves = Object.values(inner).filter((f) => isLeafType(getNamedType(f.type)) && !f.args.some(isRequiredArgument))
  if (leaves.length < 2) return false
  found.node.selectionSet.selections.push(...selections(`deep: ${dice.pick(leaves).name}`))
  copy.selectionSet.selections.push(...selections(dice.chance(0.5) ? `deep: ${dice.pick(leaves).name}` : `... { deep: ${dice.pick(leaves).name} }`))
  insert(dice, found.parent, copy)
}
change.overlapInFragments = (dice, _s, document, sites) => {
  const found = pick(dice, sites.sets.filter((set) => set.holder?.getFields))
  if (!found) return false
  const type = found.holder
  const leaves = Object.values(type.getFields()).filter((f) => isLeafType(getNamedType(f.type)) && !f.args.some(isRequiredArgument))
  if (leaves.length < 2) return false
  found.node.selections.push(...selections('...X1 ...X2'))
  for (const n of [1, 2]) document.definitions.push(...definitions(`fragment X${n} on ${type.name} { far: ${dice.pick(leaves).name} }`))
}
change.overlapOfMembers = (dice, schema, _d, sites) => {
  const found = pick(dice, sites.sets.filter((set) => set.holder && !isObjectType(set.holder) && schema.getPossibleTypes(set.holder).length > 1))
  if (!found) return false
  for (let n = 0; n < 2; n++) {
    const member = dice.pick(schema.getPossibleTypes(found.holder))
    const fields = Object.values(member.getFields()).filter((f) => !f.args.some(isRequiredArgument))
    const field = dice.pick(fields)
    const below = isCompositeType(getNamedType(field.type)) ? ' { __typename }' : ''
    found.node.selections.push(...selections(`... on ${member.name} { shared: ${field.name}${below} }`))
  }
}

change.twoAnonymous = (_dice, _s, document, sites) => {
  delete sites.operation.name
  document.definitions.push(...definitions('{ __typename }'))
}
change.anonymousAndNamed = (dice, _s, document) => insert(dice, document.definitions, ...definitions('query { __typename }')) && undefined
change.duplicateOperation = (dice, _s, document) => insert(dice, document.definitions, ...definitions('query Q { __typename }')) && undefined
change.secondOperation = (dice, _s, document) => insert(dice, document.definitions, ...definitions('query R { __typename }')) && undefined
change.secondOperationBroken = (dice, _s, document) => insert(dice, document.definitions, ...definitions('query R { nowhere }')) && undefined
change.anonymous = (_dice, _s, _d, sites) => { delete sites.operation.name }
change.notExecutable = (dice, _s, document) => {
  const text = dice.pick(['type X { a: Int }', 'extend type Query { a: Int }', 'scalar X', 'schema { query: Q }', 'directive @x on FIELD'])
  insert(dice, document.definitions, ...definitions(text))
}
change.introspection = (dice, _s, _d, sites) => {
  const texts = ['__schema { queryType { name } }', '__type(name: "Query") { name kind fields { name } }', '__type { name }', '__schema', '__typename { a }',
    '__type(name: 1) { name }', '__typename(a: 1)', '__nowhere', '__schema { nowhere }', '__type(name: "Query") { fields(includeDeprecated: true) { type { ofType { name } } } }',
    '__schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } }', 'x: __typename']
  insert(dice, sites.operation.selectionSet.selections, ...selections(dice.pick(texts)))
}
change.nestedIntrospection = (dice, _s, _d, sites) => {
  insert(dice, pick(dice, sites.sets).node.selections, ...selections(dice.pick(['__schema { queryType { name } }', '__typename', 'b: __typename @skip(if: true)', '__type(name: "A") { name }'])))
}
change.twice = (dice, schema, document, sites) => {
  change.unknownField(dice, schema, document, sites)
  return change.unusedVariable(dice, schema, document, sites)
}
