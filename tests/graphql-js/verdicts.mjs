// graphql-js as the judge: a JSON line {schema, query} in, a JSON line {valid, errors: [{lines, message}]} out, in order.
import { createInterface } from 'node:readline'
import { parse, specifiedRules, validate } from 'graphql'
import { schemaOf } from './schemas.mjs'

/** More errors than any case has; graphql-js stops at a hundred by itself, and says so as one more. */
const OPTIONS = { maxErrors: 1000 }

const told = (error) => ({ lines: (error.locations ?? []).map((location) => location.line), message: error.message })

function judge({ schema, query }) {
  let document
  try {
    document = parse(query)
  } catch (error) {
    return { valid: false, syntax: true, errors: [told(error)] }
  }
  const errors = validate(schemaOf(schema), document, specifiedRules, OPTIONS).map(told)
  return { valid: errors.length === 0, syntax: false, errors }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(judge(JSON.parse(line)))}\n`)
}
