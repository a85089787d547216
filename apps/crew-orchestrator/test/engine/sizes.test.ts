import type { ClaimedTask, JournalEntry, Mission, SubmitBatchAnswer, Task } from '@hypercode/contracts'
import { sql } from 'kysely'
import { expect } from 'vitest'
import { crewOf, stillTest as test } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'
// Goal: why tasks wait is answered for a full page and many agents. Method: 500 queued tasks, 5,000 instances that fit; asked one by
// one, that is 2.5 million looks at an instance and its leases: three seconds, and with 10,000 agents more than a statement may take. The
// same page with one agent says how busy the machine is.
test('a page of queued tasks is read with thousands of agents about', async ({ stage, tenant }) => {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(crewOf('wide', [{ id: 'a', forEach: Array.from({ length: 499 }, (_, n) => n) }]))
  const timed = async () => {
    const began = performance.now()
    return { tasks: await stage.tasks(mission.id), tookMs: performance.now() - began }
  }
  const alone = await timed()
  await sql`insert into agent_instances (id, tenant_id, agent_id, subject, version, skills, slots, lifecycle, health, incarnation, registered_at, lease_expires_at)
    select gen_random_uuid(), ${tenant.id}, agent_id, 'many/' || n, version, skills, slots, lifecycle, health, 1, now(), lease_expires_at
    from agent_instances cross join generate_series(1, 5000) n where id = ${agent.instanceId}`.execute(stage.db)
  const { tasks, tookMs } = await timed()
  expect(tookMs).toBeLessThan(1000 + 5 * alone.tookMs)
  expect(tasks).toHaveLength(500)
  expect(new Set(tasks.filter((task) => task.state === 'queued').map((task) => task.reason))).toEqual(
    new Set(['an agent will take it at its next claim']),
  )
})

// Goal: one request cannot make a statement that no process can hold: a small manifest plans 10,000 tasks, and a batch has 1,000 of it.
// Method: six missions of 3,000 tasks in one request; each statement has a time of its own, which its missions carry.
test('large missions of one batch are stored a few at a time', async ({ stage }) => {
  const wide = crewOf('wide', [{ id: 'a', forEach: Array.from({ length: 3000 }, () => 0) }])
  await stage.operator.call('POST', '/v1/crews', wide)
  const { body } = await stage.operator.call<SubmitBatchAnswer>('POST', '/v1/missions:batch', {
    missions: Array.from({ length: 6 }, () => ({ crew: 'wide' })),
  })
  expect(body.results.map((result) => result.state)).toEqual(Array.from({ length: 6 }, () => 'submitted'))
  const { rows } = await sql<{ n: number }>`select count(*) as n from missions group by created_at`.execute(stage.db)
  expect(rows.map(({ n }) => n)).toEqual([2, 2, 2])
})

// Goal: no list is too large to build, and none loses a row. Method: values of 1.5 million characters, of which two fit into a page.
test('lists of large values come in short pages that miss nothing', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(crewOf('wide', [{ id: 'a', forEach: [1, 2, 3, 4] }]))
  for (const task of (await agent.claim()) as ClaimedTask[]) {
    const response = { incarnation: 1, attempt: 1, response: 'done' }
    await agent.call('PUT', `/v1/tasks/${task.taskId}/steps/only`, response)
  }
  for (let n = 0; n < 4; n += 1) await stage.submit(crewOf('single', [{ id: 'a' }]))
  const large = sql`to_jsonb(repeat('x', 1500000))`
  await sql`update tasks set input = ${large} where parent_id is not null`.execute(stage.db)
  await sql`update missions set input = ${large}`.execute(stage.db)
  await sql`update steps set response = ${large}`.execute(stage.db)
  const sizesOf = async <T>(path: string, idOf: (item: T) => string): Promise<number[]> => {
    const seen: string[] = []
    const sizes: number[] = []
    for (let cursor = ''; ; ) {
      const { body } = await stage.operator.call<{ items: T[]; nextCursor?: string }>(
        'GET',
        `${path}?limit=500${cursor}`,
      )
      seen.push(...body.items.map(idOf))
      sizes.push(body.items.length)
      if (body.nextCursor === undefined) break
      cursor = `&cursor=${body.nextCursor}`
    }
    expect(new Set(seen).size).toBe(seen.length)
    return sizes
  }
  expect(await sizesOf<Mission>('/v1/missions', ({ id }) => id)).toEqual([2, 2, 1])
  expect(await sizesOf<Task>(`/v1/missions/${mission.id}/tasks`, ({ id }) => id)).toEqual([3, 2])
  const journal = await sizesOf<JournalEntry>(
    `/v1/missions/${mission.id}/journal`,
    (one) => `${one.taskId} ${one.kind}`,
  )
  expect(journal.reduce((sum, size) => sum + size)).toBe(8)
  expect(journal.length).toBeGreaterThan(1)
})

// Goal: the journal of a task fits into the claim of its next attempt. Method: results of 200,000 characters until no more is taken.
test('the journal of a task is bounded, and what it holds can still be repeated', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  await stage.submit(crewOf('single', [{ id: 'a' }]))
  const [task] = (await agent.claim()) as [ClaimedTask]
  const record = (name: string, response: string) =>
    agent.call<{ code?: string }>('PUT', `/v1/tasks/${task.taskId}/steps/${name}`, {
      incarnation: 1,
      attempt: 1,
      response,
    })
  const large = 'x'.repeat(200_000)
  for (let n = 0; n < 20; n += 1) expect((await record(`s${n}`, large)).status).toBe(201)
  expect(await record('s20', large)).toMatchObject({ status: 422, body: { code: 'unprocessable' } })
  expect((await record('s3', large)).status).toBe(200)
  expect((await record('small', 'y')).status).toBe(201)
  await agent.report({ taskId: task.taskId, attempt: 1, outcome: 'released' })
  const [again] = (await agent.claim()) as [ClaimedTask]
  expect(again.steps).toHaveLength(21)
})

// Goal: no mission gathers more than a process can hold, and one that tries ends with a reason. Method: elements with 3.5 million
// characters each; nine fit.
test('the outputs of a mission are bounded together', async ({ stage }) => {
  const agent = await stage.agent(['work'], { slots: 20 })
  const mission = await stage.submit(crewOf('wide', [{ id: 'a', forEach: Array.from({ length: 11 }, (_, n) => n) }]))
  const tasks = (await agent.claim({ max: 20 })) as ClaimedTask[]
  const output = 'x'.repeat(3_500_000)
  const states: (string | undefined)[] = []
  for (const task of tasks) states.push((await agent.complete(task, output)).body.results?.[0]?.state)
  expect(states).toEqual([...Array.from({ length: 9 }, () => 'completed'), 'failed', 'canceled'])
  const { state, error } = await stage.mission(mission.id)
  expect({ state, code: error?.code }).toEqual({ state: 'failed', code: 'output_too_large' })
  await expectInvariants(stage.db)
})

test('the artifacts of a task are bounded in number and in size, and each can be replaced', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  await stage.submit(crewOf('single', [{ id: 'a' }]))
  const [task] = (await agent.claim()) as [ClaimedTask]
  const put = (name: string, content = 'x', attempt = 1) =>
    agent.call<{ code?: string }>(
      'PUT',
      `/v1/tasks/${task.taskId}/artifacts/${name}?incarnation=1&attempt=${attempt}`,
      content,
      { 'content-type': 'text/plain' },
    )
  for (let n = 0; n < 200; n += 1) expect((await put(`a${n}`)).status).toBe(201)
  expect(await put('a200')).toMatchObject({ status: 422, body: { code: 'unprocessable' } })
  expect((await put('a0', 'y')).status).toBe(200)
  expect(await put('a0', 'y', 2)).toMatchObject({ status: 409, body: { code: 'stale_attempt' } })
  await sql`delete from artifacts where name <> 'a0'`.execute(stage.db)
  await sql`update artifacts set size_bytes = 128 * 1024 * 1024 - 2`.execute(stage.db)
  expect((await put('b', 'xx')).status).toBe(201)
  expect((await put('c', 'x')).status).toBe(422)
})

// Goal: what a mission leaves behind grows with what it did, not with its square. Method: chains of 10 and of 40 tasks whose outputs
// are carried on; the bytes of all rows of each.
test('a mission of four times as many tasks leaves about four times as much', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  const bytesOf = async (length: number): Promise<number> => {
    const mission = await stage.submit(
      crewOf(
        'chain',
        Array.from({ length }, (_, n) =>
          n === 0 ? { id: 't0' } : { id: `t${n}`, dependsOn: [`t${n - 1}`], input: `\${tasks.t${n - 1}.output}` },
        ),
      ),
    )
    for (let n = 0; n < length; n += 1) {
      const [task] = (await agent.claim({ max: 1 })) as [ClaimedTask]
      await agent.call('PUT', `/v1/tasks/${task.taskId}/steps/only`, { incarnation: 1, attempt: 1, response: n })
      await agent.complete(task, `output ${n} `.repeat(20))
    }
    expect((await stage.mission(mission.id)).state).toBe('completed')
    const { rows } = await sql<{ bytes: number }>`
      select (select sum(pg_column_size(t)) from tasks t where mission_id = ${mission.id})
        + (select sum(pg_column_size(e)) from mission_events e where mission_id = ${mission.id})
        + (select sum(pg_column_size(a)) from attempts a join tasks t on t.id = a.task_id where t.mission_id = ${mission.id})
        + (select sum(pg_column_size(s)) from steps s join tasks t on t.id = s.task_id where t.mission_id = ${mission.id})
        + (select pg_column_size(m) from missions m where id = ${mission.id}) as bytes`.execute(stage.db)
    return Number(rows[0]?.bytes)
  }
  const [small, large] = [await bytesOf(10), await bytesOf(40)]
  expect(small).toBeGreaterThan(10_000)
  expect(large / small).toBeLessThan(5)
})
