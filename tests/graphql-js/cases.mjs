// Cases from a seed: `node cases.mjs SEED COUNT SCHEMA…` prints JSON lines {schema, change, query}.
import { print } from 'graphql'
import mutations from './mutations.mjs'
import { Dice, validQuery } from './random.mjs'
import { schemaOf } from './schemas.mjs'
import { sitesOf } from './sites.mjs'
import texts from './texts.mjs'

/** How often a change may find nothing to change before the schema counts as having no such place. */
const TRIES = 40

function mutated(dice, schema, name) {
  for (let n = 0; n < TRIES; n++) {
    const document = validQuery(dice, schema)
    if (name in texts) {
      const text = texts[name](dice, print(document))
      if (text !== undefined) return text
    } else if (mutations[name](dice, schema, document, sitesOf(schema, document)) !== false) {
      return print(document)
    }
  }
  return undefined
}

const [seed, count, ...schemas] = process.argv.slice(2)
const names = [...Object.keys(mutations), ...Object.keys(texts)]
schemas.forEach((schema, number) => {
  const dice = new Dice(Number(seed) + number)
  for (let made = 0, n = 0; made < Number(count); n++) {
    const change = names[n % names.length]
    const query = mutated(dice, schemaOf(schema), change)
    if (query === undefined) continue
    made++
    process.stdout.write(`${JSON.stringify({ schema, change, query })}\n`)
  }
})
