import { setTimeout as sleep } from 'node:timers/promises'
import { signalTree } from '@hypercode/testkit/tools'
import type { Goal, StormContext } from '../goal.ts'
import { crew, openMissions, startLoad } from '../load.ts'
import { at, count, numbers, timeUntil } from '../measure.ts'
import { resolveUnknownEffects } from '../person.ts'

const FROZEN_S = 60
const ELSEWHERE_MAX_MS = 60_000
const DEAD = 8
const LEASE_MS = 15_000
/** Reclaimed in a second at most, as long as one lease lasts, when more would expire at once than agents that die can explain. */
const GENTLE_PER_S = 5
/** As many as 40 agents hold when they die together. */
const HELD = 150
/** All of them are begun before the first of them ends. */
const HELD_MS = 6000
const AGENTS = 50
const CALM_MAX_MS = 120_000

export const r10: Goal = {
  name: 'R10',
  about: 'all registries are frozen, then 40 of 50 agents are killed',
  bar: `0 agents expired by the freeze; <= ${GENTLE_PER_S} tasks/s reclaimed of the dead in a lease time, their work done elsewhere <= ${ELSEWHERE_MAX_MS} ms`,
  minFaults: 2,
  keepsStreams: true,
  run: async (context) => {
    const { rig, random, seconds, name, log } = context
    const load = startLoad(rig, { name, perSecond: 4, random })
    await timeUntil(async () => load.open > 0, 15_000)
    const first = load.open > 0 ? 1 : 0
    const expired = await freezeRegistries(context, Math.min(FROZEN_S, seconds))
    await load.stop()
    await untilCalm(context)
    const id = await rig.client.submit(`${name}-held`, heldTasks(), performance.now() + 60_000)
    const held = `select count(*) as n from tasks where mission_id = '${id}' and state = 'executing'`
    const isFull = (await timeUntil(async () => (await count(rig, held)) >= HELD * 0.9, 10_000)) !== undefined
    const dead = rig.agents.slice(0, DEAD)
    for (const one of dead) one.kill('SIGKILL')
    const killedAt = Date.now()
    log(`40 of ${AGENTS} agents are killed, ${await count(rig, held)} of ${HELD} tasks are executing`)
    const open = `select count(*) as n from missions where id = '${id}' and ended_at is null`
    const elsewhereMs = await timeUntil(async () => (await count(rig, open)) === 0, 2 * ELSEWHERE_MAX_MS)
    const reclaimedAt = await numbers(
      rig,
      `select extract(epoch from ended_at) * 1000 as n from attempts where outcome = 'lease_lost' and ended_at > ${at(killedAt)} order by ended_at`,
    )
    const inLease = reclaimedAt.filter((ms) => ms < (reclaimedAt[0] ?? 0) + LEASE_MS)
    const perS = (inLease.length * 1000) / LEASE_MS
    await Promise.all(dead.map(async (one) => await one.restart()))
    return {
      figure: expired,
      unit: 'agents expired',
      ok: expired === 0 && perS <= GENTLE_PER_S && (elsewhereMs ?? Infinity) <= ELSEWHERE_MAX_MS,
      faults: 2,
      inFlight: first + (isFull ? 1 : 0),
      more: {
        elsewhereMs: elsewhereMs ?? null,
        reclaimedPerS: Math.round(perS * 10) / 10,
        reclaimed: reclaimedAt.length,
      },
    }
  },
}

/**
 * The freeze leaves a backlog, effects that a person must decide about, and agents that have yet to register: until then they would not hold
 * what they are given together.
 */
async function untilCalm({ rig, log }: StormContext): Promise<void> {
  const live = `select count(*) as n from agent_instances where lifecycle = 'ready' and lease_expires_at > now()`
  const isCalm = async (): Promise<boolean> => {
    await resolveUnknownEffects(rig)
    return (await openMissions(rig)) === 0 && (await count(rig, live)) >= AGENTS
  }
  const calmMs = await timeUntil(isCalm, CALM_MAX_MS)
  log(`calm after ${calmMs} ms: ${await openMissions(rig)} missions open, ${await count(rig, live)} agents live`)
}

function heldTasks(): object {
  const retry = { maxAttempts: 20, initialInterval: '200ms', maxInterval: '2s' }
  const tasks = Array.from({ length: HELD }, (_, n) => ({
    id: `h${n}`,
    member: 'worker',
    input: { waitMs: HELD_MS },
    retry,
  }))
  return crew('held', tasks)
}

/** How many instances the registries took for dead because they themselves had been away. */
async function freezeRegistries({ rig, log }: StormContext, seconds: number): Promise<number> {
  const frozenAt = Date.now()
  log(`registries are frozen for ${Math.round(seconds)} s`)
  for (const one of rig.registries) signalTree(one.pid, 'SIGSTOP')
  await sleep(seconds * 1000)
  for (const one of rig.registries) signalTree(one.pid, 'SIGCONT')
  await sleep(10_000)
  return await count(
    rig,
    `select count(distinct instance_id) as n from agent_events where at > ${at(frozenAt)} and body ->> 'lifecycle' in ('unhealthy', 'reaped')`,
  )
}
