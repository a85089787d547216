import { readFileSync } from 'node:fs'
import { sql } from 'kysely'
import type { Goal, StormContext, StormResult } from '../goal.ts'
import { sixTasks, startLoad } from '../load.ts'
import { planStorm, runStorm } from '../nemesis.ts'
import type { StormShape } from '../nemesis.ts'
import type { Random } from '../random.ts'

/** 2,000 missions in ten minutes. */
const MISSIONS_PER_S = 3.3

export const r1: Goal = {
  name: 'R1',
  about: 'kill -9 of any process, and cuts of any connection, every 2 s',
  bar: 'settled <= 60 s, 0 violations',
  minFaults: 20,
  settleMaxMs: 60_000,
  run: async (context) => {
    // A short run hits as often in flight as one that counts must.
    const everyMs = Math.min(2000, (context.seconds * 1000) / 25)
    return await storm(context, { everyMs, networkShare: 0.2, process: 'kill', forMs: [100, 3000] })
  },
}

interface Note {
  taskId: string
  attempt: number
  reason: string
  answer?: string
}
const REFUSED = new Set(['stale', 'stale_attempt', 'fenced'])
const ZOMBIES_MIN = 50
/** So long that an agent that is frozen has something in its hands. */
const LONG_MS = [500, 3000] as const
/** The goal is for ten minutes. */
const FULL_S = 600

export const r2: Goal = {
  name: 'R2',
  about: 'SIGSTOP of any process for 1 to 40 s; attempts that have lost their lease report all the same',
  bar: `every zombie write refused, >= ${ZOMBIES_MIN} in ${FULL_S} s, 0 violations`,
  minFaults: 20,
  settleMaxMs: 60_000,
  run: async (context) => {
    const everyMs = Math.min(5000, (context.seconds * 1000) / 25)
    const shape = { everyMs, networkShare: 0, process: 'freeze', forMs: [1000, 40_000] } as const
    const result = await storm(context, shape, (random) => sixTasks(random, LONG_MS))
    const zombies = readZombies(context.rig.files.notes)
    const accepted = await acceptedAfterTheEnd(context, zombies)
    const refused = zombies.filter(({ answer }) => REFUSED.has(answer ?? '')).length
    const needed = Math.floor((ZOMBIES_MIN * Math.min(context.seconds, FULL_S)) / FULL_S)
    return {
      ...result,
      figure: refused,
      unit: 'zombie writes refused',
      ok: accepted === 0 && refused >= needed,
      more: {
        reports: zombies.length,
        // Attempts that took themselves for dead too early: they gave back what was theirs.
        stillAlive: zombies.length - refused - accepted,
        acceptedThoughFenced: accepted,
        ...result.more,
      },
    }
  },
}

async function storm(
  context: StormContext,
  shape: Omit<StormShape, 'seconds'>,
  manifest: (random: Random) => object = (random) => sixTasks(random),
): Promise<StormResult> {
  const { rig, random, seconds, name, log } = context
  const plan = planStorm(
    random,
    rig.victims.map((victim) => victim.name),
    { ...shape, seconds },
  )
  const load = startLoad(rig, { name, perSecond: MISSIONS_PER_S, manifest, cancelShare: 0.03, random })
  const { faults, inFlight } = await runStorm(rig, plan, load, log)
  await load.stop()
  return { figure: load.missionIds.length, unit: 'missions', ok: true, faults, inFlight }
}

function readZombies(file: string): Note[] {
  const notes = readFileSync(file, 'utf8').split('\n').filter(Boolean)
  return notes
    .map((line) => JSON.parse(line) as Note)
    .filter(({ answer }) => answer !== undefined && answer !== 'unanswered')
}

/** An attempt may believe that its lease is over while it is not: then its report is welcome. Any other that was taken is a breach. */
async function acceptedAfterTheEnd({ rig }: StormContext, zombies: readonly Note[]): Promise<number> {
  const taken = zombies.filter(({ answer }) => answer === 'accepted' || answer === 'replayed')
  if (taken.length === 0) return 0
  const { rows } = await sql<{ task_id: string; attempt: number }>`
    select task_id, attempt from attempts where outcome = 'released'`.execute(rig.database.db)
  const good = new Set(rows.map((row) => `${row.task_id}/${row.attempt}`))
  return taken.filter(({ taskId, attempt }) => !good.has(`${taskId}/${attempt}`)).length
}
