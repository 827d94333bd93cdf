// The rival warm: for each line `json` or `sdl`, reads that schema from its text and prints the nanoseconds it took.
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { buildClientSchema, buildSchema } from 'graphql'
import { SCHEMAS } from './schemas.mjs'

const texts = { json: readFileSync(SCHEMAS['github-json'].file, 'utf8'), sdl: readFileSync(SCHEMAS.github.file, 'utf8') }
const loads = {
  json: (text) => buildClientSchema(JSON.parse(text)),
  sdl: (text) => buildSchema(text, { assumeValidSDL: true }),
}
for await (const kind of createInterface({ input: process.stdin })) {
  const start = process.hrtime.bigint()
  loads[kind](texts[kind])
  process.stdout.write(`${process.hrtime.bigint() - start}\n`)
}
