// Changes of the text itself: grammar that breaks, and grammar that only looks as if it did.
const spots = (text, pattern) => [...text.matchAll(pattern)].map((match) => match.index)
const cut = (text, at, length, instead = '') => text.slice(0, at) + instead + text.slice(at + length)
const TOKEN = /\.\.\.|[_A-Za-z]\w*|[{}()[\]:=!|&@$]|"""[\s\S]*?"""|"(?:\\.|[^"\\\n])*"|-?\d[\d.eE+-]*/g
const tokens = (text) => [...text.matchAll(TOKEN)]

function at(dice, text, pattern, change) {
  const found = spots(text, pattern)
  return found.length ? change(dice.pick(found)) : undefined
}

/** Each gets (dice, text) and gives the text changed, or nothing. */
export default {
  withoutToken(dice, text) {
    const token = dice.pick(tokens(text))
    return cut(text, token.index, token[0].length)
  },
  doubledToken(dice, text) {
    const token = dice.pick(tokens(text))
    return cut(text, token.index, 0, `${token[0]} `)
  },
  strangeToken(dice, text) {
    const token = dice.pick(tokens(text))
    return cut(text, token.index, 0, dice.pick(['{}', '()', '[', '%', '?', ';', '..', '-', '01', '1a', '0x1', '"\\q"', '"\\u12"', '&', '|', '$', '@', ':', '\u00e9', "'a'", '1.', '.5', '"open']))
  },
  swappedTokens(dice, text) {
    const all = tokens(text)
    const n = dice.below(all.length - 1)
    const [left, right] = [all[n], all[n + 1]]
    return cut(text, left.index, right.index + right[0].length - left.index, `${right[0]} ${left[0]}`)
  },
  end: (dice, text) => text.slice(0, dice.below(text.length)),
  openString: (dice, text) => at(dice, text, /"(?=[\s)\],])/g, (index) => cut(text, index, 1)),
  emptyParens: (dice, text) => at(dice, text, /(?<=[a-z]) \{/g, (index) => cut(text, index, 0, '()')),
  emptyBraces: (dice, text) => at(dice, text, /\}/g, (index) => cut(text, index, 0, '{ }')),
  commas: (_dice, text) => text.replace(/\n(?= )/g, ',\n'),
  oneLine: (_dice, text) => text.replace(/\s+/g, ' '),
  windows: (_dice, text) => text.replace(/\n/g, '\r\n'),
  mark: (_dice, text) => `\u{feff}${text}`,
  tabs: (_dice, text) => text.replace(/ {2}/g, '\t'),
  comments: (_dice, text) => text.replace(/\{\n/g, '{ # a { comment " é\n'),
  spacedTypes: (dice, text) => at(dice, text, /\$\w+: /g, () => text.replace(/(\$\w+: )([[\]!\w]+)/g, (_all, head, type) => head + type.split(/(?=[[\]!])|(?<=[[\]!])/).join(' \n '))),
  spacedVariables: (dice, text) => at(dice, text, /\$\w/g, () => text.replace(/\$(?=\w)/g, '$ ')),
  spacedDirectives: (dice, text) => at(dice, text, /@\w/g, () => text.replace(/@(?=\w)/g, '@ ').replace(/\.\.\.(?=\w)/g, '... ')),
  directiveAfterDefault: (dice, text) => at(dice, text, /(?<=\$\w+: [[\]!\w]+ = (?:"[^"\n]*"|\w+))(?=[,)])/g, (index) => cut(text, index, 0, dice.pick([' @deprecated', ' @tag(name: "a")', ' @tag']))),
  braced: (dice, text) => at(dice, text, /"(?=some|an-)/g, (index) => cut(text, index + 1, 0, dice.pick(['\\u{1F600}', '\\u{41}', '\\u{110000}', '\\ud83d\\ude00', '\\ud83d', '\\u{}', '\\/', '\\b\\f\\n', 'é😀']))),
  block: (dice, text) => at(dice, text, /"some text"/g, (index) => cut(text, index, 11, '"""some\n  "text" \\"""\n"""')),
  glued: (dice, text) => at(dice, text, /(?<=query) Q/g, (index) => cut(text, index, 1)),
  reserved: (dice, text) => at(dice, text, /(?<=\w)\n/g, (index) => cut(text, index, 0, dice.pick([' trueCrime', ' nullable: __typename', ' falsehood @skip(if: true)', ' true: __typename', ' null', ' on: __typename', ' query: __typename', ' fragment: __typename']))),
  onFragment: (_dice, text) => (text.includes('F0') ? text.replace(/\bF0\b/g, 'on') : undefined),
  typeFragment: (_dice, text) => (text.includes('F0') ? text.replace(/\bF0\b/g, 'fragment') : undefined),
  description: (dice, text) => (dice.chance(0.5) ? `"what it is" ${text}` : `"""\nwhat\n"""\n${text}`),
  shorthandVariables: (_dice, text) => text.replace(/^query Q/, ''),
  keyword: (dice, text) => text.replace(/^query/, dice.pick(['Query', 'QUERY', 'queries', 'fetch'])),
  fragmentVariables: (_dice, text) => (/fragment F0 on/.test(text) ? text.replace(/fragment F0 on/, 'fragment F0($a: Int = 1) on') : undefined),
  constVariable: (dice, text) => at(dice, text, /(?<=\$\w+: [[\]!\w]+ = )/g, (index) => cut(text, index, 0, '$other ')),
  deep: (dice, text) => at(dice, text, /\{\n/g, (index) => cut(text, index + 1, 0, `${' ... {'.repeat(20)} __typename ${'}'.repeat(20)}`)),
}
