import { describe, expect, test } from 'vitest'
import { ENTRIES } from '../src/entries.ts'
import type { Entry } from '../src/entries.ts'
import { gather, judge, summarize } from '../src/results.ts'
import type { EntryResults } from '../src/results.ts'
import { rotated } from '../src/rounds.ts'
import { describeResults, replaceResults } from '../src/table.ts'
import { WORKLOAD_NAMES } from '../src/workloads.ts'

const entryOf = (id: string): Entry => ENTRIES.find((one) => one.id === id) as Entry

/** Runs of all four workloads. */
function measured(id: string, ...runs: [number[], number[], number[], number[]]): EntryResults {
  const gathered = gather(entryOf(id), '1.2.3')
  WORKLOAD_NAMES.forEach((name, index) => gathered.runs[name].push(...(runs[index] as number[])))
  return summarize(gathered)
}

const OURS = measured('hypercode', [900, 1000, 5000], [4], [300], [2000])
const EVERYSEC = measured('bullmq:everysec', [500], [1], [100], [4000])
const ALWAYS = measured('bullmq:always', [800], [2], [50], [1000])

describe('the verdict', () => {
  test('takes medians, and the better of the two settings of BullMQ for each workload', () => {
    expect(judge([OURS, EVERYSEC, ALWAYS])).toEqual({ P1: 1.25, P2: 4, P3: 3, P4: 0.5 })
  })

  test.each([
    ['us', [EVERYSEC, ALWAYS]],
    ['a setting of BullMQ', [OURS, EVERYSEC]],
    ['a workload', [summarize(gather(entryOf('hypercode'), '')), EVERYSEC, ALWAYS]],
  ])('is not given without %s', (_, entries) => {
    expect(judge(entries)).toBeUndefined()
  })
})

test('an even number of runs has a median that was measured', () => {
  expect(measured('dbos', [1, 2, 3, 4], [], [], []).figures).toEqual({
    P1: { unit: 'tasks/s', median: 2, runs: [1, 2, 3, 4] },
  })
})

test('each round begins with another contender, and all of them have their turn', () => {
  const firsts = ENTRIES.map((_, round) => rotated(ENTRIES, round)[0]?.id)
  expect(firsts).toEqual(ENTRIES.map(({ id }) => id))
  for (const round of [0, 1, 5, 7, 100]) expect(new Set(rotated(ENTRIES, round))).toEqual(new Set(ENTRIES))
})

describe('what the README tells', () => {
  const results = {
    measuredAt: '2030-01-02T03:04:05.000Z',
    machine: { cores: 2, cpu: 'X', memoryGiB: 8, node: 'v24', postgres: '15', pgbouncer: '1.18', redis: '7' },
    rounds: 3,
    share: 1,
    entries: [OURS, EVERYSEC],
    verdict: undefined,
  }

  test('our share of the others is turned so that more is better', () => {
    const text = describeResults(results)
    expect(text).toContain('| 1,000 (900–5,000) | 4 (4–4) | 300 (300–300) | 2,000 (2,000–2,000) |')
    expect(text).toContain('500 (500–500), we 2.00× | 1 (1–1), we 0.25× | 100 (100–100), we 3.00×')
  })

  test('a figure that is missing is shown as missing', () => {
    const text = describeResults({ ...results, entries: [OURS, measured('dbos', [], [], [], [7])] })
    expect(text).toContain('| DBOS 1.2.3 | – | – | – | 7 (7–7), we 285.71× |')
  })

  test('stands between the markers, and nothing else is touched', () => {
    const page = 'before\n<!-- results:begin -->\nold\n<!-- results:end -->\nafter\n'
    const replaced = replaceResults(page, 'new')
    expect(replaced).toBe('before\n<!-- results:begin -->\nnew\n<!-- results:end -->\nafter\n')
    expect(replaceResults(replaced, 'new')).toBe(replaced)
    expect(() => replaceResults('no markers', 'new')).toThrow('results:begin')
  })
})
