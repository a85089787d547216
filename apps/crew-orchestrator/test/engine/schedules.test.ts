import { isDeepStrictEqual } from 'node:util'
import type { ClaimedTask, Mission, Schedule } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { createTestTenant, waitFor } from '@hypercode/testkit'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { claimDue } from '../../src/store/schedules.ts'
import { STILL, crewOf, test } from '../harness.ts'
import type { Answer, Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'

/** An instant an hour, half an hour away: none comes by itself while a test runs. */
const FAR_OFF = `${(new Date().getUTCMinutes() + 30) % 60} * * * *`

const spec = (changes: Record<string, unknown> = {}): Record<string, unknown> => ({
  name: 'nightly',
  crew: 'report',
  cron: FAR_OFF,
  catchUp: '5m',
  ...changes,
})

async function create(stage: Stage, changes: Record<string, unknown> = {}): Promise<Schedule> {
  await stage.operator.call('POST', '/v1/crews', crewOf('report', [{ id: 'only', input: '${mission.input}' }]))
  const answer = await stage.operator.call<Schedule>('POST', '/v1/schedules', spec(changes))
  expect(answer.status, JSON.stringify(answer.body)).toBe(201)
  return answer.body
}

const get = async (stage: Stage, id: string): Promise<Schedule> =>
  (await stage.operator.call<Schedule>('GET', `/v1/schedules/${id}`)).body
const act = async <T = Schedule>(stage: Stage, id: string, verb: string): Promise<Answer<T>> =>
  await stage.operator.call<T>('POST', `/v1/schedules/${id}:${verb}`)

const MINUTE_MS = 60_000
const thisMinute = (): number => Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS

/** Makes an instant so many minutes ago the next one: at `:59` it is a minute old, and a schedule must catch up as far. */
async function makeDue(db: Db, minutesAgo = 0, minute = thisMinute()): Promise<void> {
  const instant = new Date(minute - minutesAgo * MINUTE_MS)
  await sql`update schedules set next_at = ${instant}, fire_at = ${instant}, claimed_until = null`.execute(db)
}

const keysOf = async (db: Db): Promise<(string | null)[]> =>
  (await db.selectFrom('missions').select('idempotency_key').orderBy('created_at').execute()).map(
    (row) => row.idempotency_key,
  )

describe('by hand', () => {
  test.override({ settings: STILL })

  test('a schedule is created, listed, read, replaced, paused, resumed and deleted, with who did it in the audit', async ({
    stage,
    db,
  }) => {
    const schedule = await create(stage, { timeZone: 'Europe/Berlin' })
    expect(schedule).toMatchObject({
      ...spec(),
      overlap: 'skip',
      paused: false,
      started: 0,
      createdBy: stage.operator.subject,
    })
    expect(`${new Date(schedule.nextAt as string).getUTCMinutes()} * * * *`).toBe(FAR_OFF)
    expect((await stage.operator.call<{ items: Schedule[] }>('GET', '/v1/schedules')).body.items).toEqual([schedule])
    const paused = await act(stage, schedule.id, 'pause')
    expect(paused.body).toMatchObject({ paused: true, pausedBy: stage.operator.subject })
    await act(stage, schedule.id, 'pause')
    expect((await act(stage, schedule.id, 'resume')).body).toMatchObject({ paused: false, nextAt: schedule.nextAt })
    const replaced = await stage.operator.call<Schedule>(
      'PUT',
      `/v1/schedules/${schedule.id}`,
      spec({ cron: '0 0 1 1 *', overlap: 'allowAll' }),
    )
    expect(replaced.body).toMatchObject({ cron: '0 0 1 1 *', overlap: 'allowAll', timeZone: 'UTC' })
    expect(replaced.body.nextAt).toMatch(/-01-01T00:00:00.000Z$/)
    expect((await stage.operator.call('DELETE', `/v1/schedules/${schedule.id}`)).status).toBe(204)
    expect((await stage.operator.call('DELETE', `/v1/schedules/${schedule.id}`)).status).toBe(404)
    const audit = await sql<{ actor: string; action: string }>`
      select actor, action from audit where ref = ${schedule.id} order by id`.execute(db)
    expect(audit.rows.map((row) => row.action)).toEqual(
      ['created', 'paused', 'resumed', 'updated', 'deleted'].map((what) => `schedule.${what}`),
    )
    expect(new Set(audit.rows.map((row) => row.actor))).toEqual(new Set([stage.operator.subject]))
  })

  test('what cannot be is refused in words', async ({ stage, tenant }) => {
    await create(stage)
    const refused = async (changes: Record<string, unknown>): Promise<unknown[]> => {
      const { status, body } = await stage.operator.call<{ code: string; faults?: { pointer: string }[] }>(
        'POST',
        '/v1/schedules',
        spec({ name: 'other', ...changes }),
      )
      return [status, body.faults?.[0]?.pointer]
    }
    expect(await refused({ cron: '61 * * * *' })).toEqual([422, '/cron'])
    expect(await refused({ cron: '0 0 30 2 *' })).toEqual([422, '/cron'])
    expect(await refused({ timeZone: 'Mars/Base' })).toEqual([422, '/timeZone'])
    expect(await refused({ cron: '* * *' })).toEqual([400, '/cron'])
    expect((await refused({ crew: 'nobody' }))[0]).toBe(404)
    expect((await refused({ name: 'nightly' }))[0]).toBe(409)
    const reader = await stage.as(tenant, ['mission:read'])
    expect((await reader.call('POST', '/v1/schedules', spec({ name: 'other' }))).status).toBe(403)
  })

  test('a schedule of another tenant is not there', async ({ stage, db }) => {
    const { id } = await create(stage)
    const foreign = await stage.as(await createTestTenant(db))
    for (const [method, path, body] of [
      ['GET', '', undefined],
      ['PUT', '', spec()],
      ['DELETE', '', undefined],
      ['POST', ':pause', undefined],
      ['POST', ':resume', undefined],
      ['POST', ':trigger', undefined],
    ] as const)
      expect((await foreign.call(method, `/v1/schedules/${id}${path}`, body)).status, method + path).toBe(404)
    expect((await foreign.call<{ items: unknown[] }>('GET', '/v1/schedules')).body.items).toEqual([])
  })

  test('a trigger begins a mission now, each time, with the input of the schedule', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const schedule = await create(stage, { input: { n: 7 }, labels: { kind: 'report' }, priority: 3 })
    const first = await act<Mission>(stage, schedule.id, 'trigger')
    expect(first).toMatchObject({
      status: 202,
      body: { crew: 'report', input: { n: 7 }, labels: { kind: 'report' }, priority: 3 },
    })
    expect(first.body.createdBy).toBe(`schedule/${schedule.id}`)
    const second = await act<Mission>(stage, schedule.id, 'trigger')
    expect(second.body.id).not.toBe(first.body.id)
    expect(await agent.claim()).toHaveLength(2)
    expect(await get(stage, schedule.id)).toMatchObject({ started: 2, lastMissionId: second.body.id })
  })
})

describe('an instant', () => {
  test.override({ settings: STILL })

  test('is one mission, whatever the number of replicas that look at it at once', async ({ stage, replica, db }) => {
    const schedules = await Promise.all(Array.from({ length: 10 }, (_, n) => create(stage, { name: `s-${n}` })))
    await makeDue(db)
    await Promise.all(
      Array.from({ length: 12 }, async (_, n) => await (n % 2 === 0 ? stage : replica).orchestrator.schedules.turn()),
    )
    const keys = await keysOf(db)
    expect(keys).toHaveLength(10)
    expect(new Set(keys.map((key) => key?.split('/')[1]))).toEqual(new Set(schedules.map(({ id }) => id)))
    for (const { id } of schedules) expect(await get(stage, id)).toMatchObject({ started: 1, skipped: 0 })
    await expectInvariants(db)
  })

  test('is one mission when who began it dies before it could say so', async ({ stage, replica, db }) => {
    const { id } = await create(stage)
    await makeDue(db)
    const before = await sql<{ next_at: Date }>`select next_at from schedules`.execute(db)
    await stage.orchestrator.schedules.turn()
    // As it was when the mission was stored and nothing else.
    await sql`update schedules set next_at = ${before.rows[0]?.next_at}, fire_at = ${before.rows[0]?.next_at}, last_mission_id = null, started = 0`.execute(
      db,
    )
    await replica.orchestrator.schedules.turn()
    expect(await keysOf(db)).toHaveLength(1)
    expect(await get(stage, id)).toMatchObject({ started: 1 })
  })

  test('is taken over from one who took it and was never seen again', async ({ stage, db }) => {
    await create(stage)
    await makeDue(db)
    expect(await claimDue(db, 300, 10)).toHaveLength(1)
    expect(await stage.orchestrator.schedules.turn()).toBe(0)
    await waitFor(async () => (await stage.orchestrator.schedules.turn()) === 1, { what: 'the claim to run out' })
    expect(await keysOf(db)).toHaveLength(1)
  })

  test('of a paused schedule passes, and is not made up for', async ({ stage, db }) => {
    const { id } = await create(stage)
    await act(stage, id, 'pause')
    await makeDue(db)
    expect(await stage.orchestrator.schedules.turn()).toBe(0)
    await act(stage, id, 'resume')
    expect(await stage.orchestrator.schedules.turn()).toBe(0)
    expect(await keysOf(db)).toEqual([])
  })

  test('that nobody could serve is made up for within the catch-up time alone', async ({ stage, db }) => {
    // The three minutes up to this one, so that a minute that passes meanwhile brings no fourth.
    const minute = thisMinute()
    const minutes = [2, 1, 0].map((ago) => new Date(minute - ago * MINUTE_MS).getUTCMinutes())
    const { id } = await create(stage, { cron: `${minutes.join()} * * * *`, overlap: 'allowAll', catchUp: '10m' })
    await makeDue(db, 2, minute)
    await waitFor(async () => (await stage.orchestrator.schedules.turn()) === 0, { what: 'nothing is due' })
    expect(await get(stage, id)).toMatchObject({ started: 3, skipped: 0 })
    await makeDue(db, 60)
    await stage.orchestrator.schedules.turn()
    expect(await get(stage, id)).toMatchObject({ started: 3, skipped: 1 })
  })

  test('whose crew cannot be planned any more is left out, and says why', async ({ stage, db }) => {
    const { id } = await create(stage)
    await sql`delete from crews`.execute(db)
    await sql`update schedules set spec = jsonb_set(spec, '{crew}', '"gone"')`.execute(db)
    await makeDue(db)
    await stage.orchestrator.schedules.turn()
    expect(await get(stage, id)).toMatchObject({ started: 0, skipped: 1, lastError: { code: 'not_found' } })
  })
})

describe('while the mission before is open', () => {
  test.override({ settings: STILL })

  async function twice(stage: Stage, db: Db, overlap: string): Promise<Schedule> {
    const { id } = await create(stage, { cron: '* * * * *', overlap, catchUp: '5m' })
    for (const minutesAgo of [1, 0]) {
      await makeDue(db, minutesAgo)
      await stage.orchestrator.schedules.turn()
    }
    return await get(stage, id)
  }

  test('skip: nothing begins', async ({ stage, db }) => {
    expect(await twice(stage, db, 'skip')).toMatchObject({ started: 1 })
    expect(await keysOf(db)).toHaveLength(1)
  })

  test('allowAll: another begins', async ({ stage, db }) => {
    await twice(stage, db, 'allowAll')
    expect(await keysOf(db)).toHaveLength(2)
  })

  test('cancelOther: it is canceled, and another begins', async ({ stage, db }) => {
    const schedule = await twice(stage, db, 'cancelOther')
    const missions = await db.selectFrom('missions').select(['id', 'state']).orderBy('created_at').execute()
    expect(missions.at(-1)).toMatchObject({ id: schedule.lastMissionId, state: 'submitted' })
    expect(missions.map((mission) => mission.state)).toEqual(['canceled', 'submitted'])
    await expectInvariants(db)
  })

  test('bufferOne: one begins when it has ended, for its own instant', async ({ stage, db }) => {
    const agent = await stage.agent(['work'])
    const schedule = await twice(stage, db, 'bufferOne')
    expect(schedule).toMatchObject({ started: 1 })
    expect(schedule.bufferedAt).toBeDefined()
    const [task] = (await agent.claim()) as [ClaimedTask]
    await agent.complete(task)
    await stage.orchestrator.schedules.turn()
    expect(await keysOf(db)).toContain(`schedule/${schedule.id}/${schedule.bufferedAt}`)
    expect(await get(stage, schedule.id)).toMatchObject({ started: 2 })
  })
})

describe('without room for another mission', () => {
  test.override({ settings: { ...STILL, MISSIONS_OPEN_MAX: '1' } })

  /** A turn that comes upon a tenant without room says so, when it has served the others. */
  const turn = async (stage: Stage): Promise<unknown> =>
    await stage.orchestrator.schedules.turn().catch((error: unknown) => error)

  // Goal: no instant is lost to a tenant that has no room, and none of another tenant waits for it. Method: more schedules than a turn
  // takes at a time are due before the one of the other tenant; then there is room for one of them.
  test('an instant waits, and keeps no other tenant from its own', async ({ stage, secondTenant, db }) => {
    const { id } = await create(stage)
    const other = await stage.as(secondTenant)
    await other.call('POST', '/v1/crews', crewOf('report', [{ id: 'only' }]))
    const { body: theirs } = await other.call<Schedule>('POST', '/v1/schedules', spec())
    await sql`insert into schedules (id, tenant_id, name, spec, next_at, fire_at, created_by)
      select gen_random_uuid(), tenant_id, 's-' || n, spec, next_at, fire_at, created_by
      from schedules cross join generate_series(1, 149) n where id = ${id}`.execute(db)
    await makeDue(db)
    await sql`update schedules set next_at = next_at - interval '1 second', fire_at = fire_at - interval '1 second'
      where id <> ${theirs.id}`.execute(db)
    const full = await stage.submit(crewOf('open', [{ id: 'a' }]))

    expect(await turn(stage)).toMatchObject({ code: 'rate_limited' })
    expect((await other.call<Schedule>('GET', `/v1/schedules/${theirs.id}`)).body).toMatchObject({ started: 1 })
    const counted = async (): Promise<unknown> =>
      (
        await sql`select sum(started)::int as started, sum(skipped)::int as skipped, count(last_error)::int as faults
          from schedules where id <> ${theirs.id}`.execute(db)
      ).rows[0]
    expect(await counted()).toEqual({ started: 0, skipped: 0, faults: 0 })

    await stage.operator.call('POST', `/v1/missions/${full.id}:cancel`)
    // Those that have ended are counted for a moment longer, and what was refused rests before it is tried again.
    const oneMore = async (): Promise<boolean> => {
      await sql`update schedules set claimed_until = null`.execute(db)
      await turn(stage)
      return isDeepStrictEqual(await counted(), { started: 1, skipped: 0, faults: 0 })
    }
    await waitFor(oneMore, { what: 'one of them to begin', everyMs: 200 })
    await expectInvariants(db)
  })
})

describe('with a lane that takes one at a time', () => {
  test.override({ settings: { ...STILL, LANE_WAITING_MAX: '1' } })

  test('what is refused for that is begun later, and no instant is lost', async ({ stage, db }) => {
    const schedules: Schedule[] = []
    for (let n = 0; n < 10; n += 1) schedules.push(await create(stage, { name: `s-${n}` }))
    await makeDue(db)
    await expect(stage.orchestrator.schedules.turn()).rejects.toMatchObject({ code: 'unavailable' })
    const allBegan = async (): Promise<boolean> => {
      await sql`update schedules set claimed_until = null`.execute(db)
      await stage.orchestrator.schedules.turn().catch(() => 0)
      return (await keysOf(db)).length === 10
    }
    await waitFor(allBegan, { what: 'all of them to begin' })
    for (const { id } of schedules) expect(await get(stage, id)).toMatchObject({ started: 1, skipped: 0 })
    await expectInvariants(db)
  })
})

test('the service begins missions by itself', async ({ stage, db }) => {
  const { id } = await create(stage)
  await makeDue(db)
  await waitFor(async () => (await get(stage, id)).started === 1, {
    what: 'a mission of the schedule',
    timeoutMs: 10_000,
  })
})
