import { newId } from '@hypercode/contracts'
import type { BlueprintAlias, ClaimedTask, Problem, Task } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { changeFleet, ringBell } from '@hypercode/events'
import { waitFor } from '@hypercode/testkit'
import { describe, expect } from 'vitest'
import { crewOf, stillTest as test } from '../harness.ts'
import type { AgentCaller, Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'

/** Versions 1 to `versions` of a blueprint, as the factory stores them. */
async function blueprint(db: Db, tenantId: string, name: string, versions: number): Promise<void> {
  for (let version = 1; version <= versions; version += 1)
    await db
      .insertInto('blueprints')
      .values({ id: newId(), tenant_id: tenantId, name, version, hash: `${version}`, manifest: '{}', created_by: 'x' })
      .execute()
}

const point = async (
  db: Db,
  tenantId: string,
  name: string,
  alias: BlueprintAlias,
  version: number,
): Promise<unknown> =>
  await db
    .insertInto('blueprint_aliases')
    .values({ tenant_id: tenantId, name, alias, version })
    .onConflict((conflict) => conflict.columns(['tenant_id', 'name', 'alias']).doUpdateSet({ version }))
    .execute()

/** A crew of one task, whose member asks for more than a skill. */
const crewWith = (member: object): object =>
  crewOf('x', [{ id: 'a', member: 'm' }], { members: [{ id: 'm', skill: 'code.edit', ...member }] })

const submit = async (stage: Stage, body: object) => await stage.operator.call<Problem>('POST', '/v1/missions', body)
const stored = async (stage: Stage, missionId: string) =>
  await stage.db
    .selectFrom('tasks')
    .select(['queue', 'requires'])
    .where('mission_id', '=', missionId)
    .executeTakeFirstOrThrow()

describe('a member of a blueprint', () => {
  test('gets the version that it names, or the one that its alias means when the mission is submitted', async ({
    stage,
    tenant,
  }) => {
    await blueprint(stage.db, tenant.id, 'coder', 3)
    await point(stage.db, tenant.id, 'coder', 'stable', 2)
    await stage.operator.call('POST', '/v1/crews', crewWith({ blueprint: 'coder@stable', requires: ['lang.rust'] }))
    const requiresOf = async (body: object): Promise<string[]> => {
      const { status, body: mission } = await stage.operator.call<{ id: string }>('POST', '/v1/missions', body)
      expect(status, JSON.stringify(mission)).toBe(202)
      return (await stored(stage, mission.id)).requires
    }
    expect(await requiresOf({ crew: 'x' })).toEqual(['lang.rust', 'blueprint:coder@2'])
    expect(await requiresOf({ manifest: crewWith({ blueprint: 'coder@3' }) })).toEqual(['blueprint:coder@3'])
    // The crew is compiled and known; what stable means has moved all the same.
    await point(stage.db, tenant.id, 'coder', 'stable', 3)
    expect(await requiresOf({ crew: 'x' })).toEqual(['lang.rust', 'blueprint:coder@3'])
  })

  test('is given to instances of that version alone', async ({ stage, tenant }) => {
    await blueprint(stage.db, tenant.id, 'coder', 3)
    const others = await Promise.all(
      [['code.edit'], ['code.edit', 'blueprint:coder@2'], ['blueprint:coder@3']].map((skills) => stage.agent(skills)),
    )
    const mission = await stage.submit(crewWith({ blueprint: 'coder@3' }))
    for (const other of others) expect(await other.claim({ waitMs: 0 })).toEqual([])
    const reason = 'no live agent has the skills it needs (code.edit, of blueprint coder@3)'
    expect(await stage.tasks(mission.id)).toMatchObject([{ state: 'queued', skill: 'code.edit', reason }])
    const fit = await stage.agent(['code.edit', 'blueprint:coder@3'])
    expect(await fit.claim({ waitMs: 0, skills: ['code.review'] })).toEqual([])
    expect(await fit.claim({ waitMs: 0, skills: ['code.edit'] })).toMatchObject([{ skill: 'code.edit' }])
    await expectInvariants(stage.db)
  })

  test('is refused when there is no such version: each with its place', async ({ stage, tenant, secondTenant }) => {
    await blueprint(stage.db, tenant.id, 'coder', 1)
    await blueprint(stage.db, secondTenant.id, 'reviewer', 1)
    const members = ['coder@1', 'coder@2', 'coder@stable', 'reviewer@1', 'coder@2'].map((reference, index) => ({
      id: `m${index}`,
      skill: 'code.edit',
      blueprint: reference,
    }))
    const crew = crewOf('x', [{ id: 'a', member: 'm0' }], { members })
    const faults = [1, 2, 3, 4].map((index) => ({
      pointer: `/spec/members/${index}/blueprint`,
      message: `there is no blueprint ${members[index]?.blueprint}`,
    }))
    await stage.operator.call('POST', '/v1/crews', crew)
    expect(await submit(stage, { crew: 'x' })).toMatchObject({ status: 422, body: { code: 'unprocessable', faults } })
    expect(await submit(stage, { manifest: crew })).toMatchObject({
      status: 422,
      body: { faults: faults.map((fault) => ({ ...fault, pointer: `/manifest${fault.pointer}` })) },
    })
    const batch = { missions: [{ crew: 'x' }, { manifest: crewWith({ blueprint: 'coder@1' }) }] }
    const { body } = await stage.operator.call<{ results: object[] }>('POST', '/v1/missions:batch', batch)
    expect(body.results).toMatchObject([{ problem: { status: 422 } }, { state: 'submitted' }])
  })

  test.for(['coder', 'coder@', 'coder@0', 'coder@newest', 'Coder@1', 'coder@1@2'])(
    '%s is no blueprint',
    async (reference, { stage }) => {
      const answer = await submit(stage, { manifest: crewWith({ blueprint: reference }) })
      expect(answer).toMatchObject({ status: 422, body: { code: 'manifest_invalid' } })
      expect(answer.body.faults).toMatchObject([{ pointer: '/manifest/spec/members/0/blueprint' }])
    },
  )
})

describe('a pool', () => {
  test('takes the tasks of the pool and no others, and nobody else takes its own', async ({ stage }) => {
    const inside = await stage.agent(['code.edit@gym-7', 'lang.rust@gym-7', 'blueprint:coder@3'])
    const outside = await stage.agent(['code.edit', 'lang.rust', 'blueprint:coder@3'])
    const pooled = await stage.submit(crewWith({ pool: 'gym-7', requires: ['lang.rust'] }))
    const elsewhere = await stage.submit(crewWith({ pool: 'gym-8' }))
    expect(await outside.claim({ waitMs: 0 })).toEqual([])
    const ordinary = await stage.submit(crewWith({}))
    expect(await inside.claim({ waitMs: 0, skills: ['code.edit', 'lang.rust'] })).toMatchObject([
      { missionId: pooled.id, skill: 'code.edit' },
    ])
    expect(await outside.claim({ waitMs: 0 })).toMatchObject([{ missionId: ordinary.id, skill: 'code.edit' }])
    expect(await stored(stage, pooled.id)).toEqual({ queue: 'code.edit@gym-7', requires: ['lang.rust@gym-7'] })
    const [task] = (await stage.tasks(elsewhere.id)) as [Task]
    expect(task).toMatchObject({
      skill: 'code.edit',
      reason: 'no live agent has the skills it needs (code.edit, in pool gym-8)',
    })
    await expectInvariants(stage.db)
  })

  test('wakes its own claims, also for the elements of a forEach', async ({ stage }) => {
    const inside = await stage.agent(['code.edit@gym-7'])
    const claim = inside.claim({ max: 2, waitMs: 20_000 })
    await waitFor(() => stage.orchestrator.engine.desk.waiting === 1, { what: 'the claim to wait' })
    const crew = crewOf('x', [{ id: 'a', member: 'm', forEach: [1, 2], input: '${item}' }], {
      members: [{ id: 'm', skill: 'code.edit', pool: 'gym-7' }],
    })
    await stage.submit(crew)
    expect((await claim).map(({ key, skill }) => [key, skill])).toEqual([
      ['a[0]', 'code.edit'],
      ['a[1]', 'code.edit'],
    ])
  })
})

// Goal: a spare that is promoted works at once, although no work was queued and no poll is due for 30 s. Method: spares whose claims
// wait at the desk, a task that nobody may take, a promotion as the factory does it, five times. What a claim takes that waits for nothing
// is the measure of how busy the machine is.
test('a spare that is made ready has work in less than 50 ms', async ({ stage, tenant, redis, keys }) => {
  await blueprint(stage.db, tenant.id, 'coder', 3)
  const tookMs: number[] = []
  const atOnceMs: number[] = []
  const idle = await stage.agent(['other'])
  for (let turn = 0; turn < 5; turn += 1) {
    const askedMs = performance.now()
    expect(await idle.claim({ waitMs: 0 })).toEqual([])
    atOnceMs.push(performance.now() - askedMs)
    const spare = await stage.agent(['code.edit', 'blueprint:coder@3'])
    await setLifecycle(stage.db, spare, 'warming')
    const claim = spare.claim({ waitMs: 20_000 })
    await waitFor(() => stage.orchestrator.engine.desk.waiting === 1, { what: 'the claim to wait' })
    const mission = await stage.submit(crewWith({ blueprint: 'coder@3' }))
    expect(await stage.tasks(mission.id)).toMatchObject([
      { state: 'queued', reason: 'no live agent has the skills it needs (code.edit, of blueprint coder@3)' },
    ])
    const startedMs = performance.now()
    await changeFleet(
      stage.db,
      () => undefined,
      [tenant.id],
      async (trx, journal) => {
        await setLifecycle(trx, spare, 'ready')
        const body = { lifecycle: 'ready' }
        journal.add({ tenantId: tenant.id, type: 'agent.updated', instanceId: spare.instanceId, body })
      },
    )
    await ringBell(redis, keys, [{ tenantId: tenant.id, queue: 'code.edit' }])
    const [task] = (await claim) as [ClaimedTask]
    tookMs.push(performance.now() - startedMs)
    expect(task).toMatchObject({ missionId: mission.id, skill: 'code.edit' })
    await spare.complete(task)
    await setLifecycle(stage.db, spare, 'stopped')
  }
  expect(median(tookMs)).toBeLessThan(50 + 3 * median(atOnceMs))
  await expectInvariants(stage.db)
})

const median = (figures: readonly number[]): number =>
  figures.toSorted((a, b) => a - b)[figures.length >> 1] ?? Number.NaN

const setLifecycle = async (db: Db, { instanceId }: AgentCaller, lifecycle: 'warming' | 'ready' | 'stopped') =>
  await db.updateTable('agent_instances').set({ lifecycle }).where('id', '=', instanceId).execute()
