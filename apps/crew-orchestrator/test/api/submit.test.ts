import type { Crew, Mission, Problem, SubmitBatchAnswer } from '@hypercode/contracts'
import { describe, expect } from 'vitest'
import { stringify } from 'yaml'
import { STILL, crewOf, stillTest as test } from '../harness.ts'
import type { Caller } from '../harness.ts'
import { expectInvariants, expectNoDeadlocks } from '../invariants.ts'

const SINGLE = crewOf('single', [{ id: 'a', input: { n: '${mission.input.n}' } }])
const submit = async (caller: Caller, body: unknown, headers: Record<string, string> = {}) =>
  await caller.call<Mission & Problem>('POST', '/v1/missions', body, headers)
const batch = async (caller: Caller, missions: readonly unknown[]) =>
  await caller.call<SubmitBatchAnswer & Problem>('POST', '/v1/missions:batch', { missions })

describe('a mission can be submitted', () => {
  test('with the name of a crew, of its latest or of one version', async ({ stage }) => {
    for (const id of ['first', 'second']) await stage.operator.call<Crew>('POST', '/v1/crews', crewOf('team', [{ id }]))
    const versions = []
    for (const crew of ['team', 'team@1', 'team@2']) {
      const { status, body, headers } = await submit(stage.operator, { crew, priority: 7, labels: { team: 'core' } })
      expect([status, headers['location']]).toEqual([202, `/v1/missions/${body.id}`])
      expect(body).toMatchObject({
        state: 'submitted',
        crew: 'team',
        priority: 7,
        labels: { team: 'core' },
        input: null,
      })
      expect(body.createdBy).toBe(stage.operator.subject)
      versions.push([body.crewVersion, (await stage.tasks(body.id))[0]?.key])
    }
    expect(versions).toEqual([
      [2, 'second'],
      [1, 'first'],
      [2, 'second'],
    ])
    await expectInvariants(stage.db)
  })

  test('of the newest version of its crew, whoever stored that, and a repeat is the first mission all the same', async ({
    stage,
  }) => {
    const store = async (id: string): Promise<unknown> =>
      await stage.operator.call<Crew>('POST', '/v1/crews', crewOf('team', [{ id }]))
    const versionsOf = async (missions: readonly unknown[]): Promise<unknown[]> =>
      await Promise.all(
        (await batch(stage.operator, missions)).body.results.map(async ({ id, replayed }) => [
          (await stage.mission(String(id))).crewVersion,
          replayed,
        ]),
      )
    await store('first')
    const keyed = { crew: 'team', idempotencyKey: 'order-1' }
    expect(await versionsOf([keyed, { crew: 'team' }])).toEqual([
      [1, false],
      [1, false],
    ])
    await store('second')
    // What this process remembers of the crew is old now, for all of them but the one that is there already.
    expect(
      await versionsOf([{ crew: 'team' }, keyed, { crew: 'team@1' }, { crew: 'team', idempotencyKey: 'order-2' }]),
    ).toEqual([
      [2, false],
      [1, true],
      [1, false],
      [2, false],
    ])
    await expectInvariants(stage.db)
  })

  test('with a manifest of its own, as an object or as YAML text', async ({ stage }) => {
    for (const manifest of [SINGLE, stringify(SINGLE)]) {
      const { status, body } = await submit(stage.operator, { manifest, input: { n: 5 } })
      expect(status).toBe(202)
      expect(body).not.toHaveProperty('crewVersion')
      expect((await stage.tasks(body.id))[0]?.input).toEqual({ n: 5 })
    }
    expect((await stage.operator.call('GET', '/v1/crews')).body).toEqual({ items: [] })
  })

  test('at the priority of the mission and the task together, within bounds', async ({ stage }) => {
    const priorityOf = async (mission: number, task: number): Promise<number | undefined> => {
      const { body } = await submit(stage.operator, {
        manifest: crewOf('x', [{ id: 'a', priority: task }]),
        priority: mission,
      })
      return (await stage.tasks(body.id))[0]?.priority
    }
    expect(await priorityOf(10, 5)).toBe(15)
    expect(await priorityOf(100, 100)).toBe(100)
    expect(await priorityOf(-100, -1)).toBe(-100)
  })
})

describe('a mission cannot be submitted', () => {
  test('that makes no sense', async ({ stage }) => {
    const cases = [
      ['with neither crew nor manifest', {}, 400, 'request_invalid'],
      ['with both', { crew: 'team', manifest: SINGLE }, 400, 'request_invalid'],
      ['of a crew that does not exist', { crew: 'nobody' }, 404, 'not_found'],
      ['of a version that does not exist', { crew: 'nobody@3' }, 404, 'not_found'],
      ['of a version zero', { crew: 'team@0' }, 400, 'request_invalid'],
      ['with an unknown key', { crew: 'team', agents: 3 }, 400, 'request_invalid'],
      ['with a priority beyond any', { manifest: SINGLE, priority: 101 }, 400, 'request_invalid'],
      ['with a label that is none', { manifest: SINGLE, labels: { 'Not a label': 'x' } }, 400, 'request_invalid'],
      ['with a manifest that is a number', { manifest: 7 }, 400, 'request_invalid'],
    ] as const
    for (const [name, body, status, code] of cases) {
      const answer = await submit(stage.operator, body)
      expect([name, answer.status, answer.body.code]).toEqual([name, status, code])
    }
    expect(await stage.db.selectFrom('missions').selectAll().execute()).toEqual([])
  })

  test('with a bad manifest: every fault, below /manifest', async ({ stage }) => {
    const object = await submit(stage.operator, { manifest: crewOf('x', [{ id: 'a', dependsOn: ['b', 'c'] }]) })
    expect([object.status, object.body.code]).toEqual([422, 'manifest_invalid'])
    expect(object.body.faults?.map((fault) => fault.pointer)).toEqual([
      '/manifest/spec/tasks/0/dependsOn/0',
      '/manifest/spec/tasks/0/dependsOn/1',
    ])
    const text = await submit(stage.operator, { manifest: 'kind: Crew\nkind: Crew\n' })
    expect(text.body.faults).toMatchObject([{ pointer: '/manifest', line: 2, column: 1 }])
  })
})

describe('a tenant with all its missions open', () => {
  test.override({ settings: { ...STILL, MISSIONS_OPEN_MAX: '5' } })

  test('is told to wait, and another tenant is not', async ({ stage, secondTenant }) => {
    expect(
      (
        await batch(
          stage.operator,
          [1, 2, 3].map(() => ({ manifest: SINGLE })),
        )
      ).status,
    ).toBe(200)
    expect(
      await batch(
        stage.operator,
        [1, 2, 3].map(() => ({ manifest: SINGLE })),
      ),
    ).toMatchObject({
      status: 429,
      body: { code: 'rate_limited', detail: 'The tenant has 3 open missions; 5 are allowed.' },
      headers: { 'retry-after': '2' },
    })
    for (const status of [202, 202, 429])
      expect((await submit(stage.operator, { manifest: crewOf('x', [{ id: 'a' }]) })).status).toBe(status)
    expect((await submit(await stage.as(secondTenant), { manifest: crewOf('x', [{ id: 'a' }]) })).status).toBe(202)
  })

  test('of many that come at once as many are taken as there is room for', async ({ stage }) => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, async () => await submit(stage.operator, { manifest: SINGLE })),
    )
    expect(answers.filter(({ status }) => status === 202)).toHaveLength(5)
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(15)
  })
})

describe('an idempotency key', () => {
  test('gives the same mission again, as it is by then', async ({ stage }) => {
    const key = { 'idempotency-key': 'order-1' }
    const first = await submit(stage.operator, { manifest: SINGLE, input: { n: 1 } }, key)
    expect(first.headers).not.toHaveProperty('idempotency-replayed')
    await stage.operator.call('POST', `/v1/missions/${first.body.id}:cancel`)
    // The same request in another order of keys.
    const again = await submit(stage.operator, { input: { n: 1 }, manifest: SINGLE }, key)
    expect(again).toMatchObject({
      status: 202,
      headers: { 'idempotency-replayed': 'true' },
      body: { id: first.body.id, state: 'canceled' },
    })
    await expectInvariants(stage.db)
  })

  test('with another request is refused, also when that one differs in little', async ({ stage, secondTenant }) => {
    const key = { 'idempotency-key': 'order-1' }
    await submit(stage.operator, { manifest: SINGLE, input: { n: 1 } }, key)
    for (const body of [
      { manifest: SINGLE, input: { n: 2 } },
      { manifest: SINGLE, input: { n: 1 }, priority: 1 },
    ])
      expect(await submit(stage.operator, body, key)).toMatchObject({
        status: 422,
        body: { code: 'idempotency_mismatch' },
      })
    // Keys belong to a tenant.
    expect((await submit(await stage.as(secondTenant), { manifest: SINGLE, input: { n: 2 } }, key)).status).toBe(202)
  })

  test('sent fifty times at once, to two replicas, makes one mission', async ({ stage, replica }) => {
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        submit(
          (index % 2 === 0 ? stage : replica).operator,
          { manifest: SINGLE, input: { n: 1 } },
          { 'idempotency-key': 'k' },
        ),
      ),
    )
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([202]))
    expect(new Set(answers.map((answer) => answer.body.id)).size).toBe(1)
    expect(answers.filter((answer) => answer.headers['idempotency-replayed'] === undefined)).toHaveLength(1)
    expect(await stage.db.selectFrom('tasks').select('key').execute()).toHaveLength(1)
    expect(
      await stage.db.selectFrom('audit').select('id').where('action', '=', 'mission.submitted').execute(),
    ).toHaveLength(1)
    await expectInvariants(stage.db)
  })

  test('is printable and not too long', async ({ stage }) => {
    for (const key of ['', 'a b', 'ä', 'x'.repeat(201)]) {
      const { status } = await submit(stage.operator, { manifest: SINGLE, input: { n: 1 } }, { 'idempotency-key': key })
      expect([key, status]).toEqual([key, 400])
    }
  })
})

describe('a batch', () => {
  test('of a thousand: each stands for itself, the bad ones say why', async ({ stage }) => {
    await stage.operator.call('POST', '/v1/crews', crewOf('team', [{ id: 'a' }]))
    const missions = Array.from({ length: 1000 }, (_, index) => {
      if (index % 100 === 1) return { crew: 'nobody' }
      if (index % 100 === 2) return { manifest: 'kind: Crew' }
      if (index % 100 === 3) return {}
      return { crew: 'team', input: index, idempotencyKey: `k${index}` }
    })
    const { status, body } = await batch(stage.operator, missions)
    expect(status).toBe(200)
    expect(body.results).toHaveLength(1000)
    const codes = new Map<string, number>()
    for (const { problem } of body.results) {
      const code = problem?.code ?? 'stored'
      codes.set(code, (codes.get(code) ?? 0) + 1)
    }
    expect(Object.fromEntries(codes)).toEqual({ stored: 970, not_found: 10, manifest_invalid: 10, request_invalid: 10 })
    expect(body.results[0]).toMatchObject({ id: expect.any(String), state: 'submitted', replayed: false })
    expect(body.results[1]?.problem).toMatchObject({ status: 404, correlationId: expect.any(String) })
    const ids = body.results.flatMap((result) => result.id ?? [])
    expect((await stage.db.selectFrom('missions').select('id').where('id', 'in', ids).execute()).length).toBe(970)
    // Again: what was stored is there, and only once.
    const again = await batch(stage.operator, missions)
    expect(again.body.results.flatMap((result) => result.id ?? [])).toEqual(ids)
    expect(again.body.results.filter((result) => result.replayed)).toHaveLength(970)
    await expectInvariants(stage.db)
  })

  test('with one key twice stores it once; with another request under it, the second is refused', async ({ stage }) => {
    const { body } = await batch(stage.operator, [
      { manifest: SINGLE, input: { n: 1 }, idempotencyKey: 'k' },
      { manifest: SINGLE, input: { n: 1 }, idempotencyKey: 'k' },
      { manifest: SINGLE, input: { n: 2 }, idempotencyKey: 'k' },
      { manifest: SINGLE, input: { n: 3 } },
      { manifest: SINGLE, input: { n: 3 } },
    ])
    const [first, second, third, fourth, fifth] = body.results
    expect([first?.replayed, second?.replayed]).toEqual([false, true])
    expect(second?.id).toBe(first?.id)
    expect(third?.problem?.code).toBe('idempotency_mismatch')
    expect(fourth?.id).not.toBe(fifth?.id)
    // The same key works for a single submit too.
    const single = await submit(stage.operator, { manifest: SINGLE, input: { n: 1 } }, { 'idempotency-key': 'k' })
    expect(single).toMatchObject({ body: { id: first?.id }, headers: { 'idempotency-replayed': 'true' } })
    await expectInvariants(stage.db)
  })

  test('and another one with the same keys in another order never lock each other out', async ({ stage, replica }) => {
    for (let round = 0; round < 5; round += 1) {
      const missions = Array.from({ length: 100 }, (_, index) => ({
        manifest: SINGLE,
        input: { n: index },
        idempotencyKey: `r${round}-${index}`,
      }))
      const answers = await Promise.all([
        batch(stage.operator, missions),
        batch(replica.operator, missions.toReversed()),
        batch(replica.operator, missions),
      ])
      const ids = answers.map(({ body }) => body.results.map((result) => result.id as string).sort())
      expect(ids[1]).toEqual(ids[0])
      expect(ids[2]).toEqual(ids[0])
    }
    await expectInvariants(stage.db)
    await expectNoDeadlocks(stage.db)
  })

  test('has at least one and at most a thousand', async ({ stage }) => {
    expect((await batch(stage.operator, [])).status).toBe(400)
    expect(
      (
        await batch(
          stage.operator,
          Array.from({ length: 1001 }, () => ({ crew: 'x' })),
        )
      ).status,
    ).toBe(400)
    expect((await batch(stage.operator, [{ crew: 'x' }, { crew: 7 }])).body.faults?.[0]?.pointer).toBe(
      '/missions/1/crew',
    )
  })
})
