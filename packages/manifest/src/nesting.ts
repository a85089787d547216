import { CST, Lexer } from 'yaml'

/** Levels that a manifest may be nested, in its text and when its aliases are resolved. As deep as any JSON body. */
export const DEPTH_MAX = 64

/**
 * Whether a YAML text is nested too deep for a parser that recurses. Only what nests on one line is counted here: brackets, and
 * indicators like `- - -`. By indentation a text of this size cannot get deep enough to do harm.
 */
export function isNestedTooDeep(text: string): boolean {
  let flow = 0
  let block = 0
  let scalar = false
  for (const lexeme of new Lexer().lex(text)) {
    // The text of a plain scalar comes after a mark of its own and may look like anything.
    if (scalar) {
      scalar = false
      continue
    }
    const type = CST.tokenType(lexeme)
    if (type === 'scalar') scalar = true
    else if (type === 'newline') block = 0
    else if (type === 'flow-seq-start' || type === 'flow-map-start') flow += 1
    else if (type === 'flow-seq-end' || type === 'flow-map-end') flow = Math.max(0, flow - 1)
    else if (flow === 0 && (type === 'seq-item-ind' || type === 'explicit-key-ind' || type === 'map-value-ind'))
      block += 1
    if (flow > DEPTH_MAX || block > DEPTH_MAX) return true
  }
  return false
}
