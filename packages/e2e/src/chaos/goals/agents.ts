import { setTimeout as sleep } from 'node:timers/promises'
import { signalTree } from '@hypercode/testkit/tools'
import type { ServiceProcess } from '@hypercode/testkit/tools'
import type { Goal, StormContext } from '../goal.ts'
import { crew, openMissions, startLoad } from '../load.ts'
import { at, count, numbers, percentile, throughput, timeUntil } from '../measure.ts'

const OFFLINE_P99_MS = 17_000
const ELSEWHERE_P99_MS = 20_000
const AGENTS_EACH = 5
const KILLS_MIN = 4

const subjects = (processes: readonly number[]): string => `i.subject ~ '/storm(${processes.join('|')})-[0-9]+$'`

export const r8: Goal = {
  name: 'R8',
  about: 'agents are killed: when they are known to be gone, and their tasks run elsewhere',
  bar: `offline p99 <= ${OFFLINE_P99_MS} ms, elsewhere p99 <= ${ELSEWHERE_P99_MS} ms`,
  minFaults: KILLS_MIN,
  keepsStreams: true,
  run: async ({ rig, random, seconds, name, log }) => {
    const load = startLoad(rig, { name, perSecond: 8, random })
    const offline: number[] = []
    const elsewhere: number[] = []
    const until = performance.now() + seconds * 1000
    let faults = 0
    let inFlight = 0
    await timeUntil(async () => load.open > 5, 15_000)
    do {
      // Half of the processes at most: what they held must find a place.
      const killed = Array.from({ length: rig.agents.length }, (_, n) => n)
        .toSorted(() => random.next() - 0.5)
        .slice(0, KILLS_MIN)
      const killedAt = Date.now()
      for (const n of killed) rig.agents[n]?.kill('SIGKILL')
      faults += killed.length
      inFlight += load.open > 0 ? killed.length : 0
      log(`agents ${killed.join(', ')} are killed, ${load.open} missions open`)
      const gone = `select extract(epoch from min(e.at) - ${at(killedAt)}) * 1000 as n from agent_events e join agent_instances i on i.id = e.instance_id
        where ${subjects(killed)} and e.at > ${at(killedAt)} and e.body ->> 'lifecycle' = 'unhealthy' group by i.id`
      await timeUntil(async () => (await numbers(rig, gone)).length >= killed.length * AGENTS_EACH, 40_000)
      offline.push(...(await numbers(rig, gone)))
      const moved = `select extract(epoch from b.started_at - ${at(killedAt)}) * 1000 as n from attempts a
        join agent_instances i on i.id = a.agent_instance_id join attempts b on b.task_id = a.task_id and b.attempt = a.attempt + 1
        where ${subjects(killed)} and a.started_at < ${at(killedAt)} and a.ended_at > ${at(killedAt)} and a.outcome = 'lease_lost'`
      await sleep(3000)
      elsewhere.push(...(await numbers(rig, moved)))
      await Promise.all(killed.map(async (n) => await rig.agents[n]?.restart()))
    } while (performance.now() < until)
    await load.stop()
    const p99 = Math.round(percentile(offline, 0.99))
    const elsewhereP99 = Math.round(percentile(elsewhere, 0.99))
    return {
      figure: p99,
      unit: 'ms until offline, p99',
      ok: offline.length >= faults * AGENTS_EACH && p99 <= OFFLINE_P99_MS && elsewhereP99 <= ELSEWHERE_P99_MS,
      faults,
      inFlight,
      more: {
        p50Ms: Math.round(percentile(offline, 0.5)),
        seen: offline.length,
        elsewhereP99Ms: elsewhereP99,
        tasksMoved: elsewhere.length,
      },
    }
  },
}

const FROZEN_S = 60
const ELSEWHERE_MAX_MS = 60_000

export const r10: Goal = {
  name: 'R10',
  about: 'all registries are frozen, then 40 of 50 agents are killed',
  bar: `0 agents expired by the freeze, the work of the dead done elsewhere <= ${ELSEWHERE_MAX_MS} ms`,
  minFaults: 2,
  keepsStreams: true,
  run: async (context) => {
    const { rig, random, seconds, name, log } = context
    const load = startLoad(rig, { name, perSecond: 4, random })
    await timeUntil(async () => load.open > 0, 15_000)
    const first = load.open > 0 ? 1 : 0
    const expired = await freezeRegistries(context, Math.min(FROZEN_S, seconds))
    await timeUntil(async () => load.open > 0, 15_000)
    const second = load.open > 0 ? 1 : 0
    await load.stop()
    const dead = rig.agents.slice(0, 8)
    for (const one of dead) one.kill('SIGKILL')
    log('40 of 50 agents are killed')
    const elsewhereMs = await timeUntil(async () => (await openMissions(rig)) === 0, 2 * ELSEWHERE_MAX_MS)
    await Promise.all(dead.map(async (one) => await one.restart()))
    return {
      figure: expired,
      unit: 'agents expired',
      ok: expired === 0 && (elsewhereMs ?? Infinity) <= ELSEWHERE_MAX_MS,
      faults: 2,
      inFlight: first + second,
      more: { elsewhereMs: elsewhereMs ?? null },
    }
  },
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

const POISONED = 20
const MAX_ATTEMPTS = 3
const OTHERS_MIN = 0.9

export const r13: Goal = {
  name: 'R13',
  about: `${POISONED} tasks that kill their agent, among others`,
  bar: `each ended after exactly ${MAX_ATTEMPTS} attempts with a dead letter, others >= ${OTHERS_MIN} of normal`,
  minFaults: 1,
  keepsStreams: true,
  run: async ({ rig, random, seconds, name, log }) => {
    const load = startLoad(rig, { name, perSecond: 5, random })
    const partMs = Math.max(10_000, (seconds * 1000) / 2)
    await sleep(4000)
    const normalFrom = Date.now()
    await sleep(partMs)
    const poisonedFrom = Date.now()
    const victim = await rig.startAgents('poisoned', 'storm.poison')
    await victim.waitForLine(({ msg }) => msg === 'agents are registered', 'registered', 60_000)
    const retry = { maxAttempts: MAX_ATTEMPTS, initialInterval: '100ms', maxInterval: '500ms' }
    const tasks = Array.from({ length: POISONED }, (_, n) => ({
      id: `p${n}`,
      member: 'worker',
      input: { poison: true },
      retry,
    }))
    const id = await rig.client.submit(
      `${name}-poison`,
      crew('poison', tasks, 'storm.poison'),
      performance.now() + 60_000,
    )
    const open = `select open_tasks as n from missions where id = '${id}'`
    const supervised = supervise(victim, () => log('the poisoned agent is started again'))
    const endedMs = await timeUntil(async () => (await count(rig, open)) === 0, 180_000)
    const poisonedTo = Date.now()
    supervised.stop()
    await supervised.done
    await sleep(2000)
    await load.stop()
    const good = await count(
      rig,
      `select count(*) as n from tasks t where t.mission_id = '${id}' and t.attempt = ${MAX_ATTEMPTS} and t.state = 'failed'
        and (select count(*) from dead_letters d where d.task_id = t.id) = 1`,
    )
    const normal = await throughput(rig, normalFrom, poisonedFrom)
    const share = (await throughput(rig, poisonedFrom, poisonedTo)) / Math.max(normal, 0.001)
    return {
      figure: good,
      unit: `of ${POISONED} ended as they must`,
      ok: good === POISONED && endedMs !== undefined && share >= OTHERS_MIN,
      faults: supervised.restarts(),
      inFlight: supervised.restarts(),
      more: { othersShare: Math.round(share * 100) / 100, endedMs: endedMs ?? null },
    }
  },
}

/** Starts the process again whenever it ends. */
function supervise(service: ServiceProcess, onRestart: () => void) {
  let stopped = false
  let restarts = 0
  const done = (async () => {
    while (!stopped) {
      if (!service.running) {
        onRestart()
        restarts += 1
        await service.restart()
      }
      await sleep(200)
    }
  })()
  return { done, restarts: () => restarts, stop: () => (stopped = true) }
}
