import { setTimeout as sleep } from 'node:timers/promises'
import { newId } from '@hypercode/contracts'
import type { ClaimedTask } from '@hypercode/contracts'
import { waitFor } from '@hypercode/testkit'
import { describe, expect } from 'vitest'
import { PATIENT_MS, SINGLE, handedOver, stateOf, told, waiting } from '../handing.ts'
import { crewOf, stillTest as test } from '../harness.ts'
import type { AgentCaller, Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'

interface Shut {
  why: string
  manifest?: object
  slots?: number
  shut: (stage: Stage, agent: AgentCaller) => Promise<unknown>
  /** Undoes it, where a claim must wait for that. */
  open?: (stage: Stage, agent: AgentCaller) => Promise<unknown>
  /** How many are claimed in the end. */
  claimed?: number
}

const change = async ({ db }: Stage, { instanceId }: AgentCaller, set: Record<string, unknown>): Promise<void> => {
  await db.updateTable('agent_instances').set(set).where('id', '=', instanceId).execute()
}
const ringOf = async (stage: Stage, agent: AgentCaller): Promise<void> =>
  stage.orchestrator.engine.desk.wake([{ tenantId: agent.owner.id, queue: 'work' }])
const inTenMinutes = (): Date => new Date(Date.now() + 600_000)

describe('while the gate is shut, what is submitted is queued and claimed as ever', () => {
  test.for<Shut>([
    {
      why: 'the instance drains',
      shut: async (stage, agent) => await change(stage, agent, { lifecycle: 'draining' }),
      open: async (stage, agent) => await change(stage, agent, { lifecycle: 'ready' }),
    },
    {
      why: 'the instance is silent',
      shut: async (stage, agent) => await change(stage, agent, { lease_expires_at: new Date(Date.now() - 1000) }),
      open: async (stage, agent) => await change(stage, agent, { lease_expires_at: inTenMinutes() }),
    },
    {
      why: 'the instance has no free slots',
      slots: 1,
      manifest: crewOf('two', [{ id: 'a' }, { id: 'b' }], { process: 'parallel' }),
      shut: async () => undefined,
    },
    {
      why: 'the queue is paused',
      shut: async ({ operator }) => await operator.call('POST', '/v1/queues/work:pause'),
      open: async ({ operator }) => await operator.call('POST', '/v1/queues/work:resume'),
    },
    {
      why: 'the queue is limited',
      shut: async ({ operator }) => await operator.call('PUT', '/v1/queues/work/limits', { maxExecuting: 5 }),
    },
    {
      why: 'something is queued there already',
      shut: async (stage) => {
        const needsMore = { apiVersion: 'hypercode/v1', kind: 'Crew', metadata: { name: 'more' } }
        const members = [{ id: 'm', skill: 'work', requires: ['rare'] }]
        await stage.submit({ ...needsMore, spec: { members, tasks: [{ id: 'a', member: 'm' }] } })
      },
    },
  ])('because $why', async ({ manifest = SINGLE, slots = 10, shut, open }, { stage }) => {
    const agent = await stage.agent(['work'], { slots })
    const { answer } = await waiting(stage, agent)
    await shut(stage, agent)
    // What shut it may have woken the group.
    expect(await agent.claim({ waitMs: 0 })).toEqual([])
    const mission = await stage.submit(manifest)
    if (open !== undefined) {
      expect(mission.state).toBe('submitted')
      expect(new Set(await stateOf(stage, mission.id))).toEqual(new Set(['queued']))
      expect((await told(stage, mission.id)).slice(0, 2)).toEqual(['mission.submitted', 'task.queued'])
      await sleep(50)
      expect(stage.orchestrator.engine.desk.waiting).toBe(1)
      await open(stage, agent)
      await ringOf(stage, agent)
    }
    const tasks = await answer
    expect(tasks.map(({ missionId, attempt }) => [missionId, attempt])).toEqual([[mission.id, 1]])
    expect(await handedOver(stage, mission.id)).toEqual({ [(tasks[0] as ClaimedTask).key]: false })
    expect((await told(stage, mission.id)).filter((type) => type === 'mission.started')).toHaveLength(1)
    await expectInvariants(stage.db)
  })

  test('because the slots were taken after the claim began to wait', async ({ stage }) => {
    const agent = await stage.agent(['work', 'other'], { slots: 1 })
    const { answer } = await waiting(stage, agent, { skills: ['work'] })
    await stage.submit(crewOf('other', [{ id: 'a', skill: 'other' }]))
    const [held] = (await agent.claim({ skills: ['other'] })) as [ClaimedTask]
    const mission = await stage.submit(SINGLE)
    expect(mission.state).toBe('submitted')
    await agent.complete(held)
    await ringOf(stage, agent)
    expect((await answer).map(({ missionId }) => missionId)).toEqual([mission.id])
    expect(await handedOver(stage, mission.id)).toEqual({ only: false })
    await expectInvariants(stage.db)
  })

  // Goal: a claim whose answer was lost gets what it was given, and nothing else. Method: it comes again, and before anybody has looked
  // for it a mission is there that it could take.
  test('because the claim was given tasks before: it gets those again', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    for (let round = 0; round < 5; round += 1) {
      const claimId = newId()
      const first = await stage.submit(SINGLE)
      const [lost] = (await agent.claim({ claimId })) as [ClaimedTask]
      expect(lost.missionId).toBe(first.id)
      expect(await agent.claim({ waitMs: 0 })).toEqual([])
      const [again, second] = await Promise.all([agent.claim({ claimId, waitMs: PATIENT_MS }), stage.submit(SINGLE)])
      expect(again.map(({ taskId }) => taskId)).toEqual([lost.taskId])
      const [next] = (await agent.claim()) as [ClaimedTask]
      expect([next.missionId, next.attempt]).toEqual([second.id, 1])
      for (const task of [lost, next]) await agent.complete(task)
    }
    await expectInvariants(stage.db)
  })

  test('because the instance has another incarnation: its old claim is fenced', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const { desk } = stage.orchestrator.engine
    const old = agent.call('POST', '/v1/claims', { claimId: newId(), incarnation: 1, max: 10, waitMs: PATIENT_MS })
    await waitFor(() => desk.waiting === 1, { what: 'a waiting claim' })
    expect(await agent.claim({ waitMs: 0 })).toEqual([])
    await change(stage, agent, { incarnation: 2 })
    const mission = await stage.submit(SINGLE)
    expect(await old).toMatchObject({ status: 409, body: { code: 'fenced' } })
    expect(await stateOf(stage, mission.id)).toEqual(['queued'])
    const now = await agent.call<{ tasks: ClaimedTask[] }>('POST', '/v1/claims', {
      ...{ claimId: newId(), incarnation: 2, max: 10, waitMs: PATIENT_MS },
    })
    expect(now.body.tasks).toMatchObject([{ missionId: mission.id, attempt: 1 }])
    await expectInvariants(stage.db)
  })
})
