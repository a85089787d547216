import { newId } from '@hypercode/contracts'
import type { Evidence, EvidenceEvent, ScoreTools } from '../../src/scoring/index.ts'

/** Evidence of a task that completed with an output, and whatever else a test names. */
export function evidenceOf(given: Partial<Evidence> & { files?: Readonly<Record<string, string>> } = {}): Evidence {
  const { files = {}, ...rest } = given
  return {
    outcome: 'completed',
    output: { answer: 42 },
    steps: [],
    artifacts: {
      names: Object.keys(files),
      read: async (name) => await Promise.resolve(Buffer.from(files[name] ?? '')),
    },
    latencyMs: 1200,
    tokens: 900,
    usd: 0.02,
    faultsInjected: [],
    events: [],
    ...rest,
  }
}

/** Nothing but what every scorer may use. */
export const tools = (given: Partial<ScoreTools> = {}): ScoreTools => ({
  modules: new Map(),
  signal: new AbortController().signal,
  ...given,
})

/** Events of a mission with one task, numbered from 1. */
export function eventsOf(
  ...events: readonly (readonly [string, Readonly<Record<string, unknown>>?])[]
): EvidenceEvent[] {
  const taskId = newId()
  return events.map(([name, data = {}], index) => ({
    seq: index + 1,
    type: `hypercode.${name}.v1`,
    subject: taskId,
    data: { key: 'work', ...data },
  }))
}
