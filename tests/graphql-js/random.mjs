// Seeded chance, and valid queries made by it from a schema.
import {
  GraphQLBoolean, GraphQLFloat, GraphQLID, GraphQLInt, getNamedType, isCompositeType, isEnumType, isInputObjectType,
  isListType, isNonNullType, isObjectType, isRequiredArgument, isRequiredInputField, parse, validate,
} from 'graphql'

export class Dice {
  constructor(seed) {
    this.state = seed >>> 0
  }
  /** mulberry32 */
  next() {
    this.state = (this.state + 0x6d2b79f5) >>> 0
    let t = this.state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  below(limit) {
    return Math.floor(this.next() * limit)
  }
  chance(of) {
    return this.next() < of
  }
  pick(list) {
    return list[this.below(list.length)]
  }
}

/** A literal that the type accepts, as text. */
export function literal(dice, type, depth = 0) {
  if (isNonNullType(type)) return literal(dice, type.ofType, depth)
  if (isListType(type)) {
    return `[${Array.from({ length: 1 + dice.below(2) }, () => literal(dice, type.ofType, depth)).join(', ')}]`
  }
  if (isEnumType(type)) return dice.pick(type.getValues()).name
  if (isInputObjectType(type)) {
    const fields = Object.values(type.getFields())
    const wanted = fields.filter((field) => isRequiredInputField(field) || (depth < 2 && dice.chance(0.25)))
    return `{${wanted.map((field) => `${field.name}: ${literal(dice, field.type, depth + 1)}`).join(', ')}}`
  }
  if (type === GraphQLInt) return String(dice.below(100))
  if (type === GraphQLFloat) return dice.chance(0.5) ? '1.5' : '2'
  if (type === GraphQLBoolean) return String(dice.chance(0.5))
  if (type === GraphQLID) return dice.chance(0.3) ? '7' : '"an-id"'
  return '"some text"'
}

class Writer {
  constructor(dice, schema) {
    Object.assign(this, { dice, schema, variables: new Map(), fragments: [] })
  }

  value(type) {
    if (!this.dice.chance(0.3)) return literal(this.dice, type)
    const name = `v${this.variables.size}`
    const declared = isNonNullType(type) && this.dice.chance(0.4) ? type.ofType : type
    const needsDefault = declared !== type || this.dice.chance(0.3)
    this.variables.set(name, `$${name}: ${declared}${needsDefault ? ` = ${literal(this.dice, declared)}` : ''}`)
    return `$${name}`
  }

  arguments(field) {
    const wanted = field.args.filter((arg) => isRequiredArgument(arg) || this.dice.chance(0.3))
    return wanted.length ? `(${wanted.map((arg) => `${arg.name}: ${this.value(arg.type)}`).join(', ')})` : ''
  }

  directives() {
    if (!this.dice.chance(0.08)) return ''
    const name = this.dice.pick(['include', 'skip'])
    return ` @${name}(if: ${this.dice.chance(0.5) ? 'true' : this.value(GraphQLBoolean)})`
  }

  field(field, depth, alias) {
    const type = getNamedType(field.type)
    const head = `${alias ?? ''}${field.name}${this.arguments(field)}${this.directives()}`
    return isCompositeType(type) ? `${head} ${this.selection(type, depth - 1)}` : head
  }

  selection(type, depth) {
    const parts = []
    const fields = type.getFields ? Object.values(type.getFields()) : []
    const fit = fields.filter((field) => depth > 0 || !isCompositeType(getNamedType(field.type)))
    for (let n = 0; n < 2 + this.dice.below(3) && fit.length; n++) {
      const alias = this.dice.chance(0.2) ? `a${this.dice.below(50)}: ` : undefined
      parts.push(this.field(this.dice.pick(fit), depth, alias))
    }
    if (!parts.length || this.dice.chance(0.1)) parts.push('__typename')
    if (!isObjectType(type)) {
      for (const member of this.schema.getPossibleTypes(type).filter(() => this.dice.chance(0.3)).slice(0, 2)) {
        parts.push(`... on ${member.name}${this.directives()} ${this.selection(member, depth - 1)}`)
      }
    }
    if (this.dice.chance(0.15)) {
      const name = `F${this.fragments.length}`
      this.fragments.push('')
      this.fragments[Number(name.slice(1))] = `fragment ${name} on ${type.name} ${this.selection(type, depth - 1)}`
      parts.push(`...${name}`)
    }
    if (this.dice.chance(0.1)) parts.push(`...${this.directives()} { __typename }`)
    return `{ ${parts.join(' ')} }`
  }
}

/** A document that graphql-js accepts. */
export function validQuery(dice, schema) {
  for (;;) {
    const writer = new Writer(dice, schema)
    const roots = Object.values(schema.getQueryType().getFields())
    const composite = roots.filter((field) => isCompositeType(getNamedType(field.type)))
    const body = writer.field(dice.pick(composite), 3)
    const variables = writer.variables.size ? `(${[...writer.variables.values()].join(', ')})` : ''
    const text = [`query Q${variables} { ${body} }`, ...writer.fragments].join('\n')
    if (text.length > 6000) continue
    const document = parse(text, { noLocation: true })
    if (validate(schema, document).length === 0) return structuredClone(document)
  }
}
