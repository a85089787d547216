import { createHash, randomBytes } from 'node:crypto'
import { newId } from '@hypercode/contracts'
import type { Artifact, ClaimedTask, Problem, StepRecord } from '@hypercode/contracts'
import { describe, expect } from 'vitest'
import { crewOf, stillTest as test } from '../harness.ts'
import type { AgentCaller, Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'

async function started(stage: Stage): Promise<{ agent: AgentCaller; task: ClaimedTask }> {
  const agent = await stage.agent(['work'])
  await stage.submit(crewOf('x', [{ id: 'a' }]))
  const [task] = (await agent.claim()) as [ClaimedTask]
  return { agent, task }
}

const FENCE = { incarnation: 1, attempt: 1 }
const step = async (agent: AgentCaller, task: ClaimedTask, name: string, body: object) =>
  await agent.call<StepRecord & Problem>('PUT', `/v1/tasks/${task.taskId}/steps/${encodeURIComponent(name)}`, {
    ...FENCE,
    ...body,
  })
const put = async (
  agent: AgentCaller,
  task: ClaimedTask,
  name: string,
  bytes: Buffer,
  type = 'text/plain',
  fence = FENCE,
) =>
  await agent.call<Artifact & Problem>(
    'PUT',
    `/v1/tasks/${task.taskId}/artifacts/${name}?incarnation=${fence.incarnation}&attempt=${fence.attempt}`,
    bytes,
    { 'content-type': type },
  )
const types = async (stage: Stage, task: ClaimedTask): Promise<string[]> =>
  (await stage.events(task.missionId)).map((event) => event.type)

const usageOf = (key: string) => ({ key, model: 'small', inputTokens: 1, outputTokens: 1, usd: 0.1 })

/** Everything that an agent may write about its attempt, each with the status of a success. */
const WRITES: readonly [
  number,
  (agent: AgentCaller, task: ClaimedTask, fence: typeof FENCE) => Promise<{ status: number }>,
][] = [
  [201, (agent, task, fence) => step(agent, task, newId(), { ...fence, response: 1 })],
  [204, (agent, task, fence) => agent.call('POST', `/v1/tasks/${task.taskId}/progress`, { ...fence, fraction: 0.1 })],
  [204, (agent, task, fence) => agent.call('POST', `/v1/tasks/${task.taskId}/output`, { ...fence, text: 'hello' })],
  [
    204,
    (agent, task, fence) => agent.call('POST', `/v1/tasks/${task.taskId}/usage`, { ...fence, ...usageOf(newId()) }),
  ],
  [201, (agent, task, fence) => put(agent, task, `f${newId()}`, Buffer.from('x'), 'text/plain', fence)],
]

describe('a step', () => {
  test('keeps its first result: 201, then 200 with what is there', async ({ stage }) => {
    const { agent, task } = await started(stage)
    expect(await step(agent, task, 'plan', { requestHash: 'h1', response: { n: 1 } })).toMatchObject({
      status: 201,
      body: { name: 'plan', requestHash: 'h1', response: { n: 1 } },
    })
    expect(await step(agent, task, 'plan', { requestHash: 'h1', response: { n: 2 } })).toMatchObject({
      status: 200,
      body: { response: { n: 1 } },
    })
    expect((await types(stage, task)).filter((type) => type === 'task.step.recorded')).toHaveLength(1)
    await expectInvariants(stage.db)
  })

  test('of the same name for another request is refused', async ({ stage }) => {
    const { agent, task } = await started(stage)
    await step(agent, task, 'pay', { requestHash: 'h1', response: 1 })
    for (const requestHash of ['h2', undefined])
      expect(await step(agent, task, 'pay', { requestHash, response: 1 })).toMatchObject({
        status: 422,
        body: { code: 'idempotency_mismatch', detail: 'The step was recorded with another request.' },
      })
  })

  test('recorded twenty times at once is recorded once', async ({ stage, replica }) => {
    const { agent, task } = await started(stage)
    const elsewhere = await replica.adopt(agent)
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        step(index % 2 === 0 ? agent : elsewhere, task, 'one', { response: index }),
      ),
    )
    expect(answers.filter((answer) => answer.status === 201)).toHaveLength(1)
    expect(new Set(answers.map((answer) => answer.body.response)).size).toBe(1)
    await expectInvariants(stage.db)
  })

  test('may have any of the usual names, and any JSON as its result', async ({ stage }) => {
    const { agent, task } = await started(stage)
    for (const [name, response] of Object.entries({
      'a b': null,
      'fetch[3]#2': [],
      'x/y.z': 'ä😀',
      'fall-back_1': { deep: [1] },
    }))
      expect(await step(agent, task, name, { response })).toMatchObject({ status: 201, body: { name, response } })
    for (const name of ['a?b', 'ä', 'x'.repeat(201), '"'])
      expect([name, (await step(agent, task, name, { response: 1 })).status]).toEqual([name, 400])
  })
})

describe('progress', () => {
  test('is shown with the task and told to who listens', async ({ stage }) => {
    const { agent, task } = await started(stage)
    const report = (body: object) => agent.call('POST', `/v1/tasks/${task.taskId}/progress`, { ...FENCE, ...body })
    expect((await report({ fraction: 0.25, message: 'reading' })).status).toBe(204)
    expect((await stage.tasks(task.missionId))[0]?.progress).toEqual({ fraction: 0.25, message: 'reading' })
    await report({ fraction: 1 })
    expect((await stage.tasks(task.missionId))[0]?.progress).toEqual({ fraction: 1 })
    const told = (await stage.events(task.missionId)).filter((event) => event.type === 'task.progress')
    expect(told.map((event) => event.body)).toEqual([
      { key: 'a', attempt: 1, fraction: 0.25, message: 'reading' },
      { key: 'a', attempt: 1, fraction: 1 },
    ])
    for (const bad of [
      { fraction: 1.1 },
      { fraction: -0.1 },
      { fraction: '0.5' },
      {},
      { fraction: 0.5, message: 'x'.repeat(501) },
    ])
      expect((await report(bad)).status).toBe(400)
    await expectInvariants(stage.db)
  })
})

describe('an artifact', () => {
  test('comes back byte by byte, as something to save and never to run', async ({ stage }) => {
    const { agent, task } = await started(stage)
    const bytes = randomBytes(100_000)
    const stored = await put(agent, task, 'data.bin', bytes, 'text/html; charset=utf-8')
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    expect(stored).toMatchObject({
      status: 201,
      body: {
        name: 'data.bin',
        taskKey: 'a',
        mediaType: 'text/html; charset=utf-8',
        sizeBytes: 100_000,
        sha256,
        attempt: 1,
      },
    })
    const read = await stage.operator.call<Buffer>('GET', `/v1/tasks/${task.taskId}/artifacts/data.bin`)
    expect(read.body.equals(bytes)).toBe(true)
    expect(read.headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'content-disposition': 'attachment',
      'x-content-type-options': 'nosniff',
      etag: `"${sha256}"`,
    })
    await expectInvariants(stage.db)
  })

  test('of the same name replaces the one before', async ({ stage }) => {
    const { agent, task } = await started(stage)
    const first = await put(agent, task, 'a.txt', Buffer.from('one'))
    const second = await put(agent, task, 'a.txt', Buffer.from('two!'), 'application/json')
    expect([first.status, second.status]).toEqual([201, 200])
    expect(second.body).toMatchObject({ id: first.body.id, sizeBytes: 4, mediaType: 'application/json' })
    const list = await stage.operator.call<{ items: Artifact[] }>('GET', `/v1/missions/${task.missionId}/artifacts`)
    expect(list.body.items).toEqual([second.body])
  })

  test('may be empty, and may be as large as eight MiB and not a byte more', async ({ stage }) => {
    const { agent, task } = await started(stage)
    expect(await put(agent, task, 'empty', Buffer.alloc(0))).toMatchObject({ status: 201, body: { sizeBytes: 0 } })
    const limit = 8 * 1024 * 1024
    expect((await put(agent, task, 'full', Buffer.alloc(limit, 7))).body.sizeBytes).toBe(limit)
    expect(await put(agent, task, 'over', Buffer.alloc(limit + 1))).toMatchObject({
      status: 413,
      body: { code: 'body_too_large' },
    })
  })

  test('is listed page by page with the others of its mission', async ({ stage }) => {
    const { agent, task } = await started(stage)
    for (let index = 0; index < 5; index += 1) await put(agent, task, `f${index}`, Buffer.from('x'))
    const url = `/v1/missions/${task.missionId}/artifacts?limit=3`
    const first = await stage.operator.call<{ items: Artifact[]; nextCursor: string }>('GET', url)
    const second = await stage.operator.call<{ items: Artifact[] }>('GET', `${url}&cursor=${first.body.nextCursor}`)
    expect([...first.body.items, ...second.body.items].map((one) => one.name)).toEqual(['f0', 'f1', 'f2', 'f3', 'f4'])
    expect((await stage.operator.call('GET', `/v1/tasks/${task.taskId}/artifacts/gone`)).status).toBe(404)
    for (const name of ['.hidden', 'a b', '%2e%2e%2fetc', 'x'.repeat(201)])
      expect([name, (await put(agent, task, name, Buffer.from('x'))).status]).toEqual([name, 400])
  })
})

test('no write passes the fence: not of another agent, incarnation or attempt, and not after the end', async ({
  stage,
}) => {
  const { agent, task } = await started(stage)
  const other = await stage.agent(['work'])
  const count = async (): Promise<number> => (await types(stage, task)).length
  for (const [status, write] of WRITES) expect((await write(agent, task, FENCE)).status).toBe(status)
  const before = await count()
  for (const [, write] of WRITES) {
    expect((await write(other, task, FENCE)).status).toBe(409)
    expect((await write(agent, task, { incarnation: 2, attempt: 1 })).status).toBe(409)
    expect((await write(agent, task, { incarnation: 1, attempt: 2 })).status).toBe(409)
    expect((await write(agent, { ...task, taskId: newId() }, FENCE)).status).toBe(409)
    expect((await write(agent, task, { incarnation: 1, attempt: 2_147_483_648 })).status).toBe(400)
  }
  expect(await count()).toBe(before)
  await agent.complete(task)
  for (const [, write] of WRITES)
    expect(await write(agent, task, FENCE)).toMatchObject({ status: 409, body: { code: 'stale_attempt' } })
  await expectInvariants(stage.db)
})

test('what cannot be stored is refused at the edge, wherever it stands', async ({ stage }) => {
  const { agent, task } = await started(stage)
  const deep = (levels: number): unknown => JSON.parse('['.repeat(levels) + ']'.repeat(levels)) as unknown
  const bodies: [string, string, (value: unknown) => object][] = [
    ['POST', '/v1/missions', (input) => ({ manifest: crewOf('x', [{ id: 'a' }]), input })],
    ['POST', '/v1/missions', (input) => ({ manifest: crewOf('x', [{ id: 'a', input }]) })],
    ['POST', '/v1/missions:batch', (input) => ({ missions: [{ manifest: crewOf('x', [{ id: 'a' }]), input }] })],
    ['PUT', `/v1/tasks/${task.taskId}/steps/s`, (response) => ({ ...FENCE, response })],
  ]
  for (const [method, path, bodyWith] of bodies) {
    const caller = path.includes('steps') ? agent : stage.operator
    for (const bad of ['\u0000', '\ud800', { '\udfff': 1 }, ['ok', { x: ['\u0000'] }]])
      expect(await caller.call<Problem>(method, path, bodyWith(bad))).toMatchObject({
        status: 422,
        body: { code: 'text_invalid' },
      })
    expect((await caller.call<Problem>(method, path, bodyWith(deep(70)))).status).toBe(422)
    expect((await caller.call<Problem>(method, path, bodyWith(deep(50)))).status).toBeLessThan(300)
    expect((await caller.call<Problem>(method, path, bodyWith(JSON.parse('{"__proto__": 1}')))).status).toBe(400)
  }
})
