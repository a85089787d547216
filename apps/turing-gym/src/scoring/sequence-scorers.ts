import type { EvidenceStep, Judgement, ScorerOf } from './scorer.ts'
import { right, shown } from './value-scorers.ts'

/** Scorers of the way the agent went, as its step journal has it. */

export const steps: ScorerOf<'steps'> = (evidence, { names, match }) =>
  compare(
    evidence.steps.map(({ name }) => name),
    names,
    match,
  )

export const toolCalls: ScorerOf<'tool-calls'> = (evidence, { sequence, match }) =>
  compare(toolsOf(evidence.steps), sequence, match)

/** A step that is a call of a tool is named `call-<n> <tool>`, with anything and a slash before it: `turn-3/call-1 run_command`. */
const CALL = /(?:^|\/)call-(\d{1,6}) (\S+)$/
const TURN = /^turn-(\d{1,6})\//

/**
 * The tools called, in the order of turns and calls. Calls of one turn run side by side and are journaled as they end, so their numbers say
 * more than the journal; where turns are not numbered, the journal is all there is.
 */
export function toolsOf(journal: readonly EvidenceStep[]): string[] {
  const calls = journal.flatMap(({ name }) => {
    const call = CALL.exec(name)
    if (call === null) return []
    const turn = TURN.exec(name)
    return [{ turn: turn === null ? undefined : Number(turn[1]), call: Number(call[1]), tool: call[2] ?? '' }]
  })
  const isNumbered = calls.every(({ turn }) => turn !== undefined)
  const ordered = isNumbered ? calls.toSorted((a, b) => (a.turn ?? 0) - (b.turn ?? 0) || a.call - b.call) : calls
  return ordered.map(({ tool }) => tool)
}

type Match = 'exact' | 'in-order' | 'any-order'

/** The score is the share of what was expected; only all of it, and with `exact` nothing else, is a pass. */
function compare(is: readonly string[], expected: readonly string[], match: Match = 'in-order'): Judgement {
  const matched = match === 'any-order' ? commonCount(is, expected) : inOrderCount(is, expected)
  const extra = match === 'exact' ? is.length - expected.length : 0
  if (matched === expected.length && extra <= 0) return right()
  const detail = `expected ${shown(expected)} (${match}), got ${shown(is)}`
  return { score: matched / Math.max(expected.length, match === 'exact' ? is.length : 1, matched + 1), detail }
}

/** How many of the expected names come, one after the other. */
function inOrderCount(is: readonly string[], expected: readonly string[]): number {
  let next = 0
  for (const name of is) if (name === expected[next]) next += 1
  return next
}

function commonCount(is: readonly string[], expected: readonly string[]): number {
  const left = new Map<string, number>()
  for (const name of is) left.set(name, (left.get(name) ?? 0) + 1)
  return expected.filter((name) => {
    const count = left.get(name) ?? 0
    left.set(name, count - 1)
    return count > 0
  }).length
}
