import { sql } from 'kysely'
import { expect } from 'vitest'
import type { AgentCaller, Stage } from '../harness.ts'
import { crewOf, stillTest as test } from '../harness.ts'
import { explainKey } from './explaining.ts'

const SKILLS = ['code', 'test', 'plan', 'code@gym', 'test@gym']

/** A sequence that is the same in every run: a failure can be looked into. */
function seeded(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

// Goal: the verdict agrees with the lease statement. Method: tasks of random needs meet instances of random skills, slots, states and
// silence; whatever is called claimable is given to one of them when all of them claim, and nothing else is.
test.for([1, 2, 3])('what is called claimable is claimed, and nothing else (seed %i)', async (seed, { stage, db }) => {
  const random = seeded(seed)
  const some = (count: number): string[] => [
    ...new Set(Array.from({ length: count }, () => SKILLS[random(SKILLS.length)] as string)),
  ]
  const agents: AgentCaller[] = []
  for (let index = 0; index < 6; index += 1) agents.push(await stage.agent(some(3), { slots: 1 + random(3) }))
  const verdicts = { claimable: 0, waiting: 0 }
  for (let turn = 0; turn < 30; turn += 1) {
    await disturb(db, agents[random(agents.length)] as AgentCaller, random)
    await control(stage, random)
    const key = `t${turn}`
    const missionId = await submitOne(stage, key, random)
    if (random(8) === 0) await stage.operator.call('POST', `/v1/missions/${missionId}:pause`)
    if (random(10) === 0)
      await db.updateTable('missions').set({ cancel_requested_at: new Date() }).where('id', '=', missionId).execute()
    const { verdict, gates } = await explainKey(stage, missionId, key)
    // One after another: a claim that does not wait is not asked about while one of the same skills is being served.
    let isGiven = false
    for (const agent of agents) {
      const tasks = await agent.claim({ max: 1, waitMs: 0 })
      isGiven ||= tasks.some((task) => task.missionId === missionId)
    }
    expect(verdict, `${key}: ${JSON.stringify(gates)}`).toBe(isGiven ? 'claimable' : 'waiting')
    verdicts[isGiven ? 'claimable' : 'waiting'] += 1
    // What nobody took is taken out of the way: each turn asks about one task.
    if (!isGiven) await stage.operator.call('POST', `/v1/missions/${missionId}:cancel`)
  }
  expect(Math.min(verdicts.claimable, verdicts.waiting)).toBeGreaterThan(3)
})

/** A queue is paused or resumed, or gets a limit or loses it. */
async function control({ operator }: Stage, random: (below: number) => number): Promise<void> {
  const queue = SKILLS[random(SKILLS.length)] as string
  if (random(2) === 0) await operator.call('POST', `/v1/queues/${queue}:${random(3) === 0 ? 'pause' : 'resume'}`)
  else
    await operator.call('PUT', `/v1/queues/${queue}/limits`, { maxExecuting: random(3) === 0 ? null : 1 + random(3) })
}

async function disturb(db: Stage['db'], agent: AgentCaller, random: (below: number) => number): Promise<void> {
  const lifecycle = (['ready', 'ready', 'warming', 'draining'] as const)[random(4)] as 'ready'
  const beat = random(4) === 0 ? sql<Date>`now() - interval '1 second'` : sql<Date>`now() + interval '10 minutes'`
  await db
    .updateTable('agent_instances')
    .set({ lifecycle, lease_expires_at: beat })
    .where('id', '=', agent.instanceId)
    .execute()
}

async function submitOne(stage: Stage, key: string, random: (below: number) => number): Promise<string> {
  const pool = random(3) === 0 ? { pool: 'gym' } : {}
  const skill = ['code', 'test', 'plan'][random(3)] as string
  const requires = random(3) === 0 ? { requires: [['code', 'test', 'plan'][random(3)]] } : {}
  const members = [{ id: 'work', skill, ...requires, ...pool }]
  const concurrency = random(3) === 0 ? { concurrency: { key: `k${random(2)}`, limit: 2 } } : {}
  return (await stage.submit(crewOf('x', [{ id: key, ...concurrency }], { members }))).id
}
