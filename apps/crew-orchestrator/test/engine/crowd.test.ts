import type { ClaimedTask, Mission, SubmitBatchAnswer } from '@hypercode/contracts'
import { waitFor } from '@hypercode/testkit'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { startCrowd } from '../crowd.ts'
import { crewOf, sweep, test } from '../harness.ts'
import type { AgentCaller, Stage } from '../harness.ts'
import { expectInvariants, expectNoDeadlocks } from '../invariants.ts'

const SHAPES = [
  crewOf('single', [{ id: 'a' }]),
  crewOf('chain', [{ id: 'a' }, { id: 'b', skill: 'other' }, { id: 'c' }], { process: 'sequential' }),
  crewOf('diamond', [
    { id: 'a' },
    { id: 'b', dependsOn: ['a'], skill: 'other' },
    { id: 'c', dependsOn: ['a'] },
    { id: 'd', dependsOn: ['b', 'c'], input: ['${tasks.b.output}', '${tasks.c.output}'] },
  ]),
  crewOf('fan', [
    { id: 'list' },
    { id: 'each', dependsOn: ['list'], forEach: [1, 2, 3, 4, 5], input: '${item}' },
    { id: 'skip', dependsOn: ['list'], when: 'false' },
    { id: 'sum', dependsOn: ['each', 'skip'], input: '${tasks.each.output}' },
  ]),
]
const RETRY = { initialInterval: '1ms', maxInterval: '20ms', maxAttempts: 20 }

const withRetry = (crew: object): object => {
  const copy = structuredClone(crew) as { spec: { tasks: object[] } }
  copy.spec.tasks = copy.spec.tasks.map((task) => ({ ...task, retry: RETRY }))
  return copy
}

async function submitAll(stage: Stage, crews: readonly object[]): Promise<string[]> {
  const { body } = await stage.operator.call<SubmitBatchAnswer>('POST', '/v1/missions:batch', {
    missions: crews.map((manifest) => ({ manifest })),
  })
  return body.results.map((result) => result.id as string)
}

const agentsOf = async (...stages: Stage[]): Promise<AgentCaller[]> =>
  await Promise.all(
    stages.flatMap((stage) =>
      [['work', 'other'], ['work'], ['other', 'work'], ['work']].map((skills) => stage.agent(skills, { slots: 5 })),
    ),
  )

const openMissions = async (stage: Stage): Promise<number> =>
  (await stage.db.selectFrom('missions').select('id').where('ended_at', 'is', null).execute()).length

async function drained(stage: Stage): Promise<void> {
  await waitFor(async () => (await openMissions(stage)) === 0, {
    what: 'every mission has ended',
    timeoutMs: 30_000,
    everyMs: 100,
  })
}

test('two replicas and eight agents drain hundreds of tasks, each done exactly once', async ({ stage, replica }) => {
  const half = Array.from({ length: 10 }).flatMap(() => SHAPES)
  const crowd = startCrowd({
    agents: await agentsOf(stage, replica),
    work: (agent, task) => agent.complete(task, task.input === null ? 1 : task.input),
  })
  const ids = (await Promise.all([submitAll(stage, half), submitAll(replica, half)])).flat()
  await drained(stage)
  await crowd.stop()
  expect(new Set(crowd.given.map((one) => one.taskId)).size).toBe(crowd.given.length)
  expect(crowd.given.every((one) => one.attempt === 1)).toBe(true)
  expect(crowd.given).toHaveLength(20 * (1 + 3 + 4 + 7))
  const states = await stage.db.selectFrom('missions').select('state').where('id', 'in', ids).execute()
  expect(states.every((row) => row.state === 'completed')).toBe(true)
  await expectInvariants(stage.db)
  await expectNoDeadlocks(stage.db)
})

describe('where leases run out soon', () => {
  test.override({ settings: { AGENT_LEASE_MS: '1000', ORCHESTRATOR_SWEEP_MS: '100' } })

  test('agents that fail, hand back and vanish: every mission completes all the same', async ({ stage, replica }) => {
    // A run of dice that is the same every time.
    let seed = 7
    const dice = (): number => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647
    let vanished = 0
    const work = async (agent: AgentCaller, task: ClaimedTask): Promise<unknown> => {
      const luck = dice()
      if (luck < 0.1) return await agent.fail(task)
      if (luck < 0.2) return await agent.report({ taskId: task.taskId, attempt: task.attempt, outcome: 'released' })
      if (luck < 0.23 && vanished < 8) return (vanished += 1)
      const twice = luck > 0.9 ? agent.complete(task, 1) : undefined
      return await Promise.all([agent.complete(task, 1), twice])
    }
    const crowd = startCrowd({ agents: await agentsOf(stage, replica), work })
    const crews = Array.from({ length: 8 }).flatMap(() => SHAPES.map(withRetry))
    const ids = await submitAll(stage, crews)
    await drained(stage)
    await crowd.stop()
    expect(vanished).toBeGreaterThan(0)
    expect(new Set(crowd.given.map((one) => `${one.taskId}/${one.attempt}`)).size).toBe(crowd.given.length)
    const states = await stage.db.selectFrom('missions').select(['state', 'error']).where('id', 'in', ids).execute()
    expect(states.filter((row) => row.state !== 'completed')).toEqual([])
    await expectInvariants(stage.db)
    await expectNoDeadlocks(stage.db)
  })

  test('claims, completions, cancels, progress and sweeps hammer the same missions: no circle of locks, and all end', async ({
    stage,
    replica,
  }) => {
    const stages = [stage, replica]
    const agents = await agentsOf(...stages)
    const until = performance.now() + 4000
    const open = (): boolean => performance.now() < until
    const pick = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)] as T
    const missions: string[] = []
    const statuses = new Set<number>()

    const submit = async (): Promise<void> => {
      while (open()) {
        if ((await openMissions(stage)) < 60) missions.push(...(await submitAll(pick(stages), SHAPES.map(withRetry))))
      }
    }
    const cancel = async (): Promise<void> => {
      while (open()) {
        const id = pick(missions)
        if (id !== undefined)
          statuses.add((await pick(stages).operator.call<Mission>('POST', `/v1/missions/${id}:cancel`)).status)
        await new Promise((done) => setTimeout(done, 15))
      }
    }
    const sweepOn = async (one: Stage): Promise<void> => {
      while (open()) {
        await sql`update tasks set lease_expires_at = now() where state = 'executing' and random() < 0.05
        and id in (select id from tasks where state = 'executing' order by id for update skip locked)`.execute(stage.db)
        await sweep(one)
      }
    }
    const crowd = startCrowd({
      agents,
      max: 20,
      work: async (agent, task) => {
        const fence = { incarnation: agent.incarnation, attempt: task.attempt }
        if (Math.random() < 0.3)
          statuses.add(
            (await agent.call('POST', `/v1/tasks/${task.taskId}/progress`, { ...fence, fraction: 0.5 })).status,
          )
        statuses.add((await (Math.random() < 0.1 ? agent.fail(task) : agent.complete(task, 1))).status)
      },
    })
    await Promise.all([submit(), submit(), cancel(), cancel(), sweepOn(stage), sweepOn(replica)])
    await drained(stage)
    await crowd.stop()
    expect(missions.length).toBeGreaterThan(20)
    // Fenced is an answer; an error of ours is not.
    expect([...statuses].filter((status) => ![200, 204, 409].includes(status))).toEqual([])
    await expectInvariants(stage.db)
    await expectNoDeadlocks(stage.db)
  }, 60_000)
})
