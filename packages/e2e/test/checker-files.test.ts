import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test as base } from '@hypercode/testkit'
import { describe, expect } from 'vitest'
import type { HistoryRecord } from '../src/checker/client-history.ts'
import { check } from '../src/checker/check.ts'
import type { SinkRecord } from '../src/checker/effects.ts'
import { buildWorld, id, runSql } from './checker-world.ts'

// Goal: the checker sees what was done outside and what clients were told. Method: files in which all is well, one thing broken by hand.

const test = base.extend('folder', ({ database }, { onCleanup }) => {
  void database // one for each

  const folder = mkdtempSync(path.join(tmpdir(), 'hypercode-checker-'))
  onCleanup(() => rmSync(folder, { recursive: true, force: true }))
  return folder
})

const names = async (directUrl: string, folder: string, files: { sink?: object[]; history?: object[] }) => {
  const write = (name: string, lines: object[] | undefined): string | undefined => {
    if (lines === undefined) return undefined
    const file = path.join(folder, name)
    writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
    return file
  }
  const target = { directUrl, sinkFile: write('sink', files.sink), historyFile: write('history', files.history) }
  return (await check(target)).map(({ invariant }) => invariant)
}

const MINUTE = 60_000
const now = Date.now()

/** The effects of task a, whose only attempt ran from 19 to 18 minutes ago and did both. Of those of `woken` a person has said that they happened. */
const effect = (more: Partial<SinkRecord> = {}): SinkRecord => ({
  sink: 'plain',
  key: `${id('a')}:plain`,
  requestHash: 'hash',
  taskId: id('a'),
  effect: 'plain',
  attempt: 1,
  intentAtMs: now - 18.5 * MINUTE,
  atMs: now - 18.5 * MINUTE,
  applied: true,
  ...more,
})
const keyed = (more: Partial<SinkRecord> = {}): SinkRecord =>
  effect({ sink: 'keyed', key: `${id('a')}:keyed`, effect: 'keyed', ...more })
const again = { atMs: now - 18.4 * MINUTE, intentAtMs: now - 18.4 * MINUTE } as const

const woken = effect({ key: `${id('woken')}:plain`, taskId: id('woken') })
const DONE = [keyed(), effect(), woken]

const EFFECT_FAULTS: readonly [name: string, sink: readonly SinkRecord[], ...statements: string[]][] = [
  ['E1 a keyed effect was carried out twice', [...DONE, keyed(again)]],
  [
    'E1 a completed task without one of its effects',
    [effect(), woken],
    `delete from effects where task_id = $a and name = 'keyed'`,
  ],
  ['E1 an effect that is done in the ledger was never carried out', [keyed(), effect()]],
  ['E1 an effect is done without a response', DONE, `update effects set response = null where task_id = $woken`],
  ['E2 a plain effect was carried out twice', [...DONE, effect(again)]],
  ['E2 an effect that the ledger does not know', DONE, `delete from effects where task_id = $a and name = 'plain'`],
  [
    'E2 a task completed although one of its effects is open',
    DONE,
    `update effects set state = 'intent', done_at = null, response = null where task_id = $a and name = 'plain'`,
  ],
  [
    'E3 an effect was begun by an attempt that had ended',
    [...DONE, keyed({ ...again, intentAtMs: now - 10 * MINUTE, applied: false })],
  ],
  ['E3 an effect of an attempt that there never was', [...DONE, keyed({ attempt: 2, applied: false })]],
  [
    'E3 the ledger was written for an attempt that had ended',
    DONE,
    `update effects set done_at = now() - interval '10 minutes' where task_id = $a and name = 'plain'`,
  ],
  ['E4 one key with two requests', [...DONE, keyed({ ...again, applied: false, requestHash: 'other' })]],
]

const DECLARED = `update tasks set input = '{"effects": ["keyed", "plain"]}' where id = $a`

describe('effects', () => {
  test('all is well, also when a keyed effect is asked for again, and when a person said that a plain one happened', async ({
    database,
    folder,
  }) => {
    await buildWorld(database.directUrl)
    await runSql(database.directUrl, DECLARED)
    const sink = [...DONE, keyed({ ...again, applied: false })]
    expect(await names(database.directUrl, folder, { sink })).toEqual([])
  })

  for (const [name, sink, ...statements] of EFFECT_FAULTS) {
    test(name, async ({ database, folder }) => {
      await buildWorld(database.directUrl)
      await runSql(database.directUrl, DECLARED, ...statements)
      expect(await names(database.directUrl, folder, { sink: [...sink] })).toEqual([name])
    })
  }
})

let calls = 0
/** The two lines of one call that took 10 ms. */
const call = (at: number, begun: Partial<HistoryRecord>, told: Partial<HistoryRecord>): HistoryRecord[] => {
  calls += 1
  const base = { call: calls, op: 'get' as const, atMs: now - 30 * MINUTE + at }
  return [
    { ...base, ...begun, phase: 'invoke', monoMs: at },
    { ...base, op: begun.op ?? 'get', phase: 'ok', ...told, atMs: base.atMs + 10, monoMs: at + 10 },
  ]
}
const submit = (at: number, name: string, told: Partial<HistoryRecord> = { missionId: id(name) }): HistoryRecord[] =>
  call(at, { op: 'submit', key: `key-${name}`, hash: `hash-${name}`, marker: name }, told)
const read = (at: number, name: string, told: Partial<HistoryRecord>): HistoryRecord[] =>
  call(at, { missionId: id(name), marker: name }, { marker: name, ...told })
const cancel = (at: number, name: string): HistoryRecord[] => call(at, { op: 'cancel', missionId: id(name) }, {})

const GOOD = [
  ...submit(0, 'done'),
  ...submit(5, 'done'),
  ...read(20, 'done', { version: 2, state: 'submitted' }),
  ...read(40, 'done', { version: 7, state: 'completed' }),
  ...submit(50, 'ended'),
  ...cancel(60, 'ended'),
  ...read(80, 'ended', { version: 5, state: 'running', canceling: true }),
]

const HISTORY_FAULTS: readonly [name: string, history: readonly HistoryRecord[], ...statements: string[]][] = [
  ['H1 an acknowledged mission is not there', submit(0, 'nowhere', { missionId: id('nowhere') })],
  [
    'O15 one key was acknowledged with two missions',
    [...submit(0, 'done'), ...submit(5, 'done', { missionId: id('broken') })],
  ],
  [
    'O15 two requests of one key were both accepted',
    [
      ...submit(0, 'done'),
      ...call(5, { op: 'submit', key: 'key-done', hash: 'other', marker: 'done' }, { missionId: id('done') }),
    ],
  ],
  [
    'O15 a mission that is not what was asked for',
    submit(0, 'done'),
    `update missions set labels = '{"marker": "other"}' where id = $done`,
  ],
  ['H2 what a client had seen is not there any more', read(0, 'done', { version: 8, state: 'completed' })],
  ['H2 an acknowledged cancel is not there', cancel(0, 'resting')],
  [
    'H2 a read that does not know of the cancel',
    [...cancel(0, 'ended'), ...read(20, 'ended', { version: 5, state: 'running', canceling: false })],
  ],
  [
    'H3 two reads of one version differ',
    [...read(0, 'done', { version: 3, state: 'running' }), ...read(20, 'done', { version: 3, state: 'paused' })],
  ],
  [
    'H4 a read went back',
    [...read(0, 'done', { version: 5, state: 'running' }), ...read(20, 'done', { version: 4, state: 'running' })],
  ],
  ['H6 a client saw what is not its own', read(0, 'done', { version: 7, state: 'completed', marker: 'theirs' })],
  ['H7 too few submits were acknowledged', [...submit(0, 'done'), ...submit(5, 'lost', { phase: 'unknown' })]],
  [
    'O13 an attempt began after its cancel was acknowledged',
    cancel(0, 'ended'),
    `update tasks set attempt = 1 where id = $x`,
    `insert into attempts (task_id, attempt, tenant_id, agent_instance_id, incarnation, claim_id, started_at, ended_at, outcome)
      values ($x, 1, $ours, $one, 2, $late, now() - interval '8 minutes', now() - interval '7 minutes', 'canceled')`,
    `update mission_events set seq = seq + 10 where mission_id = $ended and seq > 2`,
    `update mission_events set seq = seq - 9 where mission_id = $ended and seq > 2`,
    `insert into mission_events (mission_id, seq, tenant_id, type, task_id) values ($ended, 3, $ours, 'task.claimed', $x)`,
    `update missions set event_seq = 6 where id = $ended`,
  ],
]

describe('what clients were told', () => {
  test('all is well', async ({ database, folder }) => {
    await buildWorld(database.directUrl)
    expect(await names(database.directUrl, folder, { history: GOOD })).toEqual([])
  })

  test('two reads that overlap may come in any order', async ({ database, folder }) => {
    await buildWorld(database.directUrl)
    const history = [
      ...read(0, 'done', { version: 5, state: 'running' }),
      ...read(5, 'done', { version: 4, state: 'running' }),
    ]
    expect(await names(database.directUrl, folder, { history })).toEqual([])
  })

  for (const [name, history, ...statements] of HISTORY_FAULTS) {
    test(name, async ({ database, folder }) => {
      await buildWorld(database.directUrl)
      await runSql(database.directUrl, ...statements)
      expect(await names(database.directUrl, folder, { history: [...history] })).toEqual([name])
    })
  }

  test('H5 an unknown submit exists more than once', async ({ database, folder }) => {
    await buildWorld(database.directUrl)
    await runSql(database.directUrl, `update missions set idempotency_key = 'key-lost' where id in ($done, $broken)`)
    const lost = call(0, { op: 'submit', key: 'key-lost' }, { phase: 'unknown' })
    const others = Array.from({ length: 30 }, (_, n) =>
      call(n, { op: 'submit', key: `other-${n}` }, { missionId: id('done') }),
    ).flat()
    expect(await names(database.directUrl, folder, { history: [...lost, ...others] })).toEqual([
      'O15 two missions of one idempotency key',
      'H5 an unknown submit exists more than once',
    ])
  })
})
