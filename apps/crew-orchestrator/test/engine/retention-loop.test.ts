import { waitFor } from '@hypercode/testkit'
import { sql } from 'kysely'
import { expect, vi } from 'vitest'
import { createRetention } from '../../src/engine/retention.ts'
import { STILL, crewOf, stillTest as test } from '../harness.ts'
import type { Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'
import { finished, known } from './retaining.ts'

const metricsOf = async ({ operator }: Stage): Promise<string> =>
  String((await operator.call<Buffer>('GET', '/metrics')).body)

// Goal: each goes once, whoever looks. Method: many missions of different sizes, turns of several replicas at once, over and over.
test('of many replicas at once each mission goes once', { timeout: 60_000 }, async ({ stage, db }) => {
  const agent = await stage.agent(['work'], { slots: 50 })
  for (let n = 0; n < 12; n += 1)
    await finished(
      stage,
      agent,
      crewOf(
        'x',
        Array.from({ length: 1 + (n % 4) }, (_, t) => ({ id: `t${t}` })),
      ),
    )
  const { id: open } = await stage.submit(crewOf('x', [{ id: 'a' }]))
  let deleted = 0
  const turns = Array.from({ length: 4 }, () =>
    createRetention({
      db,
      retentionMs: 0,
      onDeleted: (missions) => void (deleted += missions),
      onFault: (error) => {
        throw error
      },
    }),
  )
  await waitFor(
    async () => {
      await Promise.all(turns.map(async (one) => await one.turn()))
      return (await known(db)).length === 1
    },
    { what: 'all but the open one are gone' },
  )
  expect(deleted).toBe(12)
  expect(await known(db)).toEqual([open])
  await expectInvariants(stage.db)
})

test('the loop counts what it deletes; without a retention there is none', async ({ stage, open, db }) => {
  const agent = await stage.agent(['work'])
  const id = await finished(stage, agent)
  const young = await finished(stage, agent)
  // Two days old, as its id says, too.
  const aged = `${(Date.now() - 2 * 86_400_000)
    .toString(16)
    .padStart(12, '0')
    .replace(/^(.{8})/, '$1-')}${id.slice(13)}`
  for (const [table, column] of [
    ['missions', 'id'],
    ['tasks', 'mission_id'],
    ['mission_events', 'mission_id'],
  ] as const)
    await sql`update ${sql.table(table)} set ${sql.ref(column)} = ${aged} where ${sql.ref(column)} = ${id}`.execute(db)
  await sql`update missions set ended_at = now() - interval '25 hours' where id = ${aged}`.execute(db)
  expect(await metricsOf(stage)).not.toContain('loop="retention"')
  const other = await open({ ...STILL, MISSION_RETENTION_DAYS: '1' })
  await waitFor(async () => (await known(db)).length === 1, { what: 'the old one is gone' })
  expect(await known(db)).toEqual([young])
  await waitFor(
    async () => (await metricsOf(other)).includes('hypercode_missions_deleted_total{service="crew-orchestrator"} 1'),
    {
      what: 'it is counted',
    },
  )
})

test('its loop that does not come round turns /readyz red, and is named', async ({ open, db }) => {
  try {
    const stage = await open({ ORCHESTRATOR_SWEEP_MS: '100', MISSION_RETENTION_DAYS: '1' })
    const readyz = async (): Promise<{ ready: boolean; checks: Record<string, { detail?: string }> }> =>
      (await stage.orchestrator.app.inject('/readyz')).json()
    await waitFor(async () => (await readyz()).ready, { what: 'the service is ready' })
    await db.transaction().execute(async (trx) => {
      // Nobody reads a mission meanwhile. Twenty seconds pass, for everybody who asks for the time.
      await sql`lock table missions in access exclusive mode`.execute(trx)
      const real = performance.now.bind(performance)
      vi.spyOn(performance, 'now').mockImplementation(() => real() + 20_000)
      await waitFor(async () => /retention \(\d+ s\)/.test((await readyz()).checks['loops']?.detail ?? ''), {
        what: 'the loop is missed',
      })
    })
    await waitFor(async () => (await readyz()).ready, { what: 'the service is ready again', timeoutMs: 15_000 })
  } finally {
    vi.restoreAllMocks()
  }
})
