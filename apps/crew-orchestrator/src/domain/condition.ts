import { fill } from './references.ts'

/**
 * `when`: one value (its truth counts), or two values with a comparison between them. A value is a reference, a number, a text in
 * quotes, true, false or null. That is all: no operators to combine, no calls, nothing that could run. What stands in quotes is
 * literal, without escapes; a reference stands without quotes, since in them it would be compared as something else than it is.
 */
export interface Condition {
  left: unknown
  operator?: Operator
  right?: unknown
}

type Operator = (typeof OPERATORS)[number]
const OPERATORS = ['==', '!=', '>=', '<=', '>', '<'] as const
const QUOTED = String.raw`"(?:(?!\$\{)[^"])*"|'(?:(?!\$\{)[^'])*'`
const OPERAND = String.raw`\$\{[^{}]*\}|-?\d+(?:\.\d+)?|${QUOTED}|true|false|null`
const SHAPE = new RegExp(String.raw`^\s*(${OPERAND})\s*(?:(==|!=|>=|<=|>|<)\s*(${OPERAND})\s*)?$`)

/** The condition of a text, or undefined when the text is none. */
export function parseCondition(text: string): Condition | undefined {
  const match = SHAPE.exec(text)
  if (match?.[1] === undefined) return undefined
  if (match[2] === undefined) return { left: operand(match[1]) }
  return { left: operand(match[1]), operator: match[2] as Operator, right: operand(match[3] as string) }
}

/** Throws a ReferenceError when a reference leads nowhere. A text that is no condition is a bug here: manifests are checked first. */
export function evaluate(text: string, scope: Readonly<Record<string, unknown>>): boolean {
  const condition = parseCondition(text)
  if (condition === undefined) throw new TypeError(`not a condition: ${text}`)
  const left = fill(condition.left, scope)
  if (condition.operator === undefined) return Boolean(left)
  return compare(left, condition.operator, fill(condition.right, scope))
}

const WORDS: Readonly<Record<string, unknown>> = { true: true, false: false, null: null }

const operand = (text: string): unknown => {
  if (text.startsWith('${')) return text
  if (text.startsWith('"') || text.startsWith("'")) return text.slice(1, -1)
  return text in WORDS ? WORDS[text] : Number(text)
}

function compare(left: unknown, operator: Operator, right: unknown): boolean {
  if (operator === '==') return same(left, right)
  if (operator === '!=') return !same(left, right)
  // An order exists between two numbers and between two texts; anything else is not larger and not smaller.
  if (typeof left !== typeof right || (typeof left !== 'number' && typeof left !== 'string')) return false
  const [a, b] = [left as number, right as number]
  return operator === '>' ? a > b : operator === '<' ? a < b : operator === '>=' ? a >= b : a <= b
}

const same = (left: unknown, right: unknown): boolean =>
  left === right || JSON.stringify(left) === JSON.stringify(right)
