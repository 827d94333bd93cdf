// The rival in a process of its own: what a careful person writes with graphql-js to make an Avro schema of a query.
import { readFileSync } from 'node:fs'
import {
  TypeInfo, buildClientSchema, getNamedType, getNullableType, isEnumType, isLeafType, isListType, parse, validate, visit,
  visitWithTypeInfo,
} from 'graphql'

const [schemaFile, queryFile] = process.argv.slice(2)
const schema = buildClientSchema(JSON.parse(readFileSync(schemaFile, 'utf8')))
const document = parse(readFileSync(queryFile, 'utf8'))
const errors = validate(schema, document)
if (errors.length) throw new Error(errors.join('\n'))

const scalars = { Int: 'int', Float: 'double', Boolean: 'boolean' }
const wrapped = (type, inner) => {
  const bare = getNullableType(type)
  return isListType(bare) ? { type: 'array', items: wrapped(bare.ofType, inner) } : ['null', inner]
}
const info = new TypeInfo(schema)
const records = [{ type: 'record', name: 'Document', fields: [] }]
visit(document, visitWithTypeInfo(info, {
  Field: {
    enter(node) {
      const type = info.getType()
      const named = getNamedType(type)
      const name = node.alias?.value ?? node.name.value
      const leaf = isLeafType(named)
      const inner = leaf ? (isEnumType(named) ? 'string' : scalars[named.name] ?? 'string')
        : { type: 'record', name: `${records.at(-1).name}_${name}`, fields: [] }
      records.at(-1).fields.push({ name, type: wrapped(type, inner), doc: info.getFieldDef()?.description, default: null })
      if (!leaf) records.push(inner)
    },
    leave(node) {
      if (node.selectionSet) records.pop()
    },
  },
}))
process.stdout.write(JSON.stringify(records[0], null, 2))
