import type { ClaimedTask, Mission } from '@hypercode/contracts'
import { randomSecret, waitFor } from '@hypercode/testkit'
import { describe, expect } from 'vitest'
import { preferredWaitMs } from '../../src/routes/prefer-wait.ts'
import { crewOf, test } from '../harness.ts'
import type { AgentCaller, Answer, Stage } from '../harness.ts'

const SINGLE = crewOf('single', [{ id: 'a' }])
const submitAndWait = (stage: Stage, seconds: number, manifest = SINGLE): Promise<Answer<Mission>> =>
  stage.operator.call<Mission>('POST', '/v1/missions', { manifest }, { prefer: `wait=${seconds}` })

async function finishOne(agent: AgentCaller): Promise<void> {
  const [task] = (await agent.claim({ max: 1 })) as [ClaimedTask]
  expect((await agent.complete(task, 'done')).status).toBe(200)
}

describe('Prefer: wait', () => {
  test('holds the answer of a submit until the mission ends, and no longer', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const began = performance.now()
    const answer = submitAndWait(stage, 30)
    await finishOne(agent)
    expect(await answer).toMatchObject({
      status: 200,
      headers: { 'preference-applied': 'wait=30' },
      body: { state: 'completed', output: { a: 'done' } },
    })
    expect(performance.now() - began).toBeLessThan(10_000)
  })

  test('answers the mission as a read does, to the last member', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const manifest = crewOf('full', [{ id: 'a', input: { text: 'ü "quoted" \\u0041 \n' } }], {
      policy: { deadline: '1h' },
    })
    const headers = { prefer: 'wait=30' }
    const order = { manifest, priority: 3, labels: { team: 'core' }, input: { n: 1.5, list: [null, true] } }
    const answers = Promise.all(
      [1, 2].map(async () => stage.operator.call<Mission>('POST', '/v1/missions', order, headers)),
    )
    for (let n = 0; n < 2; n += 1) await finishOne(agent)
    for (const { body } of await answers) {
      expect(body.state).toBe('completed')
      expect(body).toEqual((await stage.operator.call<Mission>('GET', `/v1/missions/${body.id}`)).body)
    }
  })

  test('when the time is up, answers 202 with the mission as it is', async ({ stage }) => {
    const began = performance.now()
    expect(await submitAndWait(stage, 1)).toMatchObject({ status: 202, body: { state: 'submitted' } })
    expect(performance.now() - began).toBeGreaterThan(990)
  })

  test('of a mission that ends at its birth does not wait', async ({ stage }) => {
    const answer = await submitAndWait(stage, 30, crewOf('x', [{ id: 'a', when: 'false' }]))
    expect(answer).toMatchObject({ status: 200, body: { state: 'completed' } })
  })

  test('works for a read too, also when another replica sees the end', async ({ stage, replica }) => {
    const agent = await replica.agent(['work'])
    await waitFor(async () => (await stage.orchestrator.app.inject('/readyz')).json().checks.stream.ok === true, {
      what: 'the stream is read',
    })
    const mission = await stage.submit(SINGLE)
    const read = stage.operator.call<Mission>('GET', `/v1/missions/${mission.id}`, undefined, { prefer: 'wait=30' })
    await finishOne(agent)
    const answer = await read
    expect(answer).toMatchObject({ status: 200, body: { state: 'completed' } })
    expect(answer.headers['etag']).toBe(`"${answer.body.version}"`)
  })

  test('ends at once when the process drains', async ({ stage }) => {
    const answer = submitAndWait(stage, 30)
    await waitFor(async () => (await stage.db.selectFrom('missions').select('id').execute()).length === 1, {
      what: 'the mission is stored',
    })
    stage.orchestrator.app.beginDrain()
    expect(await answer).toMatchObject({ status: 202, body: { state: 'submitted' } })
  })
})

describe('Prefer: wait with Redis unreachable', () => {
  test.override({ settings: { REDIS_URL: `redis://:${randomSecret()}@127.0.0.1:9` } })

  test('hears of an end in its own replica without looking again', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    // The next look comes a second after the first. A machine that is busy just then gets another chance.
    for (let tries = 0; ; tries += 1) {
      const mission = await stage.submit(SINGLE)
      const [task] = (await agent.claim()) as [ClaimedTask]
      const began = performance.now()
      const read = stage.operator.call<Mission>('GET', `/v1/missions/${mission.id}`, undefined, { prefer: 'wait=30' })
      await agent.complete(task)
      expect((await read).body.state).toBe('completed')
      if (performance.now() - began < 900) break
      expect(tries).toBeLessThan(5)
    }
  })

  test('sees the end that another replica saw, by looking itself', async ({ stage, replica }) => {
    const agent = await replica.agent(['work'])
    const answer = submitAndWait(stage, 30)
    await finishOne(agent)
    expect(await answer).toMatchObject({ status: 200, body: { state: 'completed' } })
  })
})

test.for([
  ['wait=10', 10_000],
  ['respond-async, wait=10', 10_000],
  ['wait = 5', 5000],
  ['wait="7"', 7000],
  ['WAIT=3;foo', 3000],
  ['wait=99999', 60_000],
  ['wait=0', 0],
  ['wait', undefined],
  ['wait=-1', undefined],
  ['wait=1.5', undefined],
  ['await=10', undefined],
  ['', undefined],
  [undefined, undefined],
] as const)('the header %s asks for %s ms', ([header, ms]) => {
  expect(preferredWaitMs(header)).toBe(ms)
})
