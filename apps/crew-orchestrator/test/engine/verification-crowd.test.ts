import { setTimeout as sleep } from 'node:timers/promises'
import type { Approval, ClaimedTask, SubmitBatchAnswer, Verification } from '@hypercode/contracts'
import { waitFor } from '@hypercode/testkit'
import { expect } from 'vitest'
import { startCrowd } from '../crowd.ts'
import { crewOf, test as base } from '../harness.ts'
import type { AgentCaller, Stage } from '../harness.ts'
import { expectInvariants, expectNoDeadlocks } from '../invariants.ts'

const test = base.extend('settings', { AGENT_LEASE_MS: '1000', ORCHESTRATOR_SWEEP_MS: '100' })

const RETRY = { initialInterval: '1ms', maxInterval: '20ms', maxAttempts: 20 }
const tasks = (verify: object): Record<string, unknown>[] => [
  { id: 'list', verify, retry: RETRY },
  { id: 'each', dependsOn: ['list'], forEach: [1, 2, 3], verify, retry: RETRY },
  { id: 'sum', dependsOn: ['each'], input: '${tasks.each.output}' },
]
const CREWS = [
  crewOf('by-agent', tasks({ kind: 'agent', skill: 'review', maxRounds: 20 })),
  crewOf('by-schema', tasks({ kind: 'schema', schema: { const: 'good' }, maxRounds: 20 })),
  crewOf('by-people', tasks({ kind: 'human', maxRounds: 20 })),
]

/** Numbers that are the same in every run. */
function dice(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

// Goal: whoever delivers, verifies, decides, cancels or vanishes in whatever order, at two replicas at once: what is completed has passed,
// every mission ends, and no two transactions wait for each other in a circle.
test('many outputs are delivered, refused, passed, withdrawn and lost at once', async ({ stage, replica }) => {
  const random = dice(7)
  const work = async (agent: AgentCaller, task: ClaimedTask): Promise<unknown> => {
    const die = random()
    if (die < 0.03) return undefined // its lease runs out
    if (die < 0.1) return await agent.fail(task)
    if (task.skill === 'review') return await agent.complete(task, { passed: die < 0.6, reason: 'not yet' })
    return await agent.complete(task, die < 0.6 ? 'good' : 'bad')
  }
  const agents = await Promise.all(
    [stage, replica].flatMap((side) =>
      [['work', 'review'], ['work'], ['review']].map(async (skills) => side.agent(skills, { slots: 5 })),
    ),
  )
  const crowd = startCrowd({ agents, work })
  const submit = async (side: Stage): Promise<void> => {
    const missions = Array.from({ length: 5 }).flatMap(() => CREWS.map((manifest) => ({ manifest })))
    await side.operator.call<SubmitBatchAnswer>('POST', '/v1/missions:batch', { missions })
  }
  await Promise.all([submit(stage), submit(replica)])
  let deciding = true
  const decided = decideUntil(() => !deciding, replica, random)
  // Until one was canceled before anybody had decided about it.
  for (let withdrawn = 0; withdrawn === 0; ) {
    const { id } = await verifying(stage)
    await stage.operator.call('POST', `/v1/tasks/${id}:cancel`, {})
    withdrawn = (await roundsOf(stage, 'withdrawn')).length
  }
  await waitFor(
    async () =>
      (await stage.db.selectFrom('missions').select('id').where('ended_at', 'is', null).execute()).length === 0,
    { what: 'every mission has ended', timeoutMs: 60_000, everyMs: 200 },
  )
  deciding = false
  await decided
  await crowd.stop()
  for (const state of ['failed', 'passed'] as const) expect((await roundsOf(stage, state)).length).toBeGreaterThan(30)
  expect(await roundsOf(stage, 'open')).toEqual([])
  await expectInvariants(stage.db)
  await expectNoDeadlocks(stage.db)
}, 120_000)

/** People who answer what they are asked. */
async function decideUntil(isOver: () => boolean, { operator }: Stage, random: () => number): Promise<void> {
  while (!isOver()) {
    const { body } = await operator.call<{ items: Approval[] }>('GET', '/v1/approvals?state=open&limit=20')
    for (const { id, hash } of body.items) {
      const verdict = random() < 0.6 ? 'approve' : 'reject'
      await operator.call('POST', `/v1/approvals/${id}:${verdict}`, { hash })
    }
    await sleep(50)
  }
}

const verifying = async ({ db }: Stage): Promise<{ id: string }> =>
  await waitFor(
    async () => db.selectFrom('tasks').select('id').where('state', '=', 'verifying').limit(1).executeTakeFirst(),
    { what: 'a task that is verifying', everyMs: 5 },
  )

const roundsOf = async ({ db }: Stage, state: Verification['state']): Promise<{ task_id: string }[]> =>
  await db.selectFrom('verifications').select('task_id').where('state', '=', state).execute()
