import { setTimeout as sleep } from 'node:timers/promises'
import type { Goal, StormContext } from '../goal.ts'
import { startLoad } from '../load.ts'
import type { Load } from '../load.ts'
import { at, numbers, percentile, timeUntil } from '../measure.ts'

const OFFLINE_P99_MS = 17_000
const ELSEWHERE_P99_MS = 20_000
const AGENTS_EACH = 5
const KILLS_MIN = 4
const RELEASED_P99_MS = 1000

const subjects = (processes: readonly number[]): string => `i.subject ~ '/storm(${processes.join('|')})-[0-9]+$'`

export const r8: Goal = {
  name: 'R8',
  about: 'agents are killed: when they are known to be gone, and their tasks run elsewhere',
  bar: `offline p99 <= ${OFFLINE_P99_MS} ms, elsewhere p99 <= ${ELSEWHERE_P99_MS} ms, after a clean stop p99 <= ${RELEASED_P99_MS} ms`,
  minFaults: KILLS_MIN,
  keepsStreams: true,
  run: async (context) => {
    const { rig, random, seconds, name, log } = context
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
    const released = await stopCleanly(context, load)
    await load.stop()
    const p99 = Math.round(percentile(offline, 0.99))
    const releasedP99 = Math.round(percentile(released, 0.99))
    const elsewhereP99 = Math.round(percentile(elsewhere, 0.99))
    return {
      figure: p99,
      unit: 'ms until offline, p99',
      ok:
        offline.length >= faults * AGENTS_EACH &&
        p99 <= OFFLINE_P99_MS &&
        elsewhereP99 <= ELSEWHERE_P99_MS &&
        released.length > 0 &&
        releasedP99 <= RELEASED_P99_MS,
      faults,
      inFlight,
      more: {
        p50Ms: Math.round(percentile(offline, 0.5)),
        seen: offline.length,
        elsewhereP99Ms: elsewhereP99,
        tasksMoved: elsewhere.length,
        cleanStopP99Ms: releasedP99,
        tasksReleased: released.length,
      },
    }
  },
}

const CLEAN_STOPS = 5

/** Processes are told to stop and hand their tasks back: how long each of these was in nobody's hands, in milliseconds. */
async function stopCleanly({ rig, log }: StormContext, load: Load): Promise<number[]> {
  await timeUntil(async () => load.open > 5, 15_000)
  const from = Date.now()
  for (const one of rig.agents.slice(0, CLEAN_STOPS)) await one.restart()
  await sleep(2000)
  log(`${CLEAN_STOPS} processes of agents were stopped and started again`)
  return await numbers(
    rig,
    `select extract(epoch from coalesce(b.started_at, now()) - a.ended_at) * 1000 as n from attempts a
      left join attempts b on b.task_id = a.task_id and b.attempt = a.attempt + 1
      where a.outcome = 'released' and a.ended_at > ${at(from)}`,
  )
}
