import { setTimeout as sleep } from 'node:timers/promises'
import type { ServiceProcess } from '@hypercode/testkit/tools'
import type { Goal } from '../goal.ts'
import { crew, startLoad } from '../load.ts'
import { count, throughput, timeUntil } from '../measure.ts'

const POISONED = 20
const MAX_ATTEMPTS = 3
const OTHERS_MIN = 0.9
const LEASE_MS = 15_000
const REGISTERED_MAX_MS = 120_000
/** Should it take one lease for each attempt, and a brake beside it. */
const ENDED_MAX_MS = 240_000

export const r13: Goal = {
  name: 'R13',
  about: `${POISONED} tasks that kill their agent, among others`,
  bar: `each ended after exactly ${MAX_ATTEMPTS} attempts with a dead letter and the reason of each, none delivered again, others >= ${OTHERS_MIN} of normal`,
  minFaults: 1,
  keepsStreams: true,
  run: async ({ rig, random, seconds, name, log }) => {
    const partMs = Math.max(10_000, (seconds * 1000) / 2)
    const victim = await rig.startAgents('poisoned', 'storm.poison')
    await victim.waitForLine(({ msg }) => msg === 'agents are registered', 'registered', REGISTERED_MAX_MS)
    const load = startLoad(rig, { name, perSecond: 5, random })
    await sleep(4000)
    const normalFrom = Date.now()
    await sleep(partMs)
    const poisonedFrom = Date.now()
    const supervised = supervise(victim, () => log('the poisoned agent is started again'))
    const id = await rig.client.submit(`${name}-poison`, poison(), performance.now() + 60_000)
    const open = `select open_tasks as n from missions where id = '${id}'`
    const endedMs = await timeUntil(async () => (await count(rig, open)) === 0, ENDED_MAX_MS)
    const poisonedTo = Date.now()
    // The agent is there and free: whatever would be delivered again would be now.
    await sleep(LEASE_MS)
    supervised.stop()
    await supervised.done
    await load.stop()
    const good = await count(
      rig,
      `select count(*) as n from tasks t where t.mission_id = '${id}' and t.attempt = ${MAX_ATTEMPTS} and t.state = 'failed'
        and (select count(*) from dead_letters d where d.task_id = t.id) = 1
        and (select count(*) from attempts a where a.task_id = t.id and a.ended_at is not null and a.error ->> 'code' is not null) = ${MAX_ATTEMPTS}`,
    )
    const attempts = await count(
      rig,
      `select count(*) as n from attempts a join tasks t on t.id = a.task_id where t.mission_id = '${id}'`,
    )
    const again = attempts - POISONED * MAX_ATTEMPTS
    const normal = await throughput(rig, normalFrom, poisonedFrom)
    const share = (await throughput(rig, poisonedFrom, poisonedTo)) / Math.max(normal, 0.001)
    return {
      figure: good,
      unit: `of ${POISONED} ended as they must`,
      ok: good === POISONED && again === 0 && endedMs !== undefined && share >= OTHERS_MIN,
      faults: supervised.restarts(),
      inFlight: supervised.restarts(),
      more: { othersShare: Math.round(share * 100) / 100, endedMs: endedMs ?? null, deliveredAgain: again },
    }
  },
}

function poison(): object {
  const retry = { maxAttempts: MAX_ATTEMPTS, initialInterval: '100ms', maxInterval: '500ms' }
  const tasks = Array.from({ length: POISONED }, (_, n) => ({
    id: `p${n}`,
    member: 'worker',
    input: { poison: true },
    retry,
  }))
  // The first that fails shall not end the others.
  return crew('poison', tasks, 'storm.poison', { policy: { onTaskFailure: 'continue' } })
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
