import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import type { Random } from './random.ts'
import type { Rig } from './rig.ts'

/** Work goes on being submitted until it is stopped. */
export interface Load {
  /** Missions that were acknowledged. */
  readonly missionIds: readonly string[]
  /** Open missions when last looked at; what a fault must meet to count. */
  readonly open: number
  stop(): Promise<void>
}

export interface LoadOptions {
  /** Begins every idempotency key of it. */
  readonly name: string
  readonly perSecond: number
  readonly manifest?: (random: Random) => object
  /** Share of the missions that are canceled at some moment after they were submitted. */
  readonly cancelShare?: number
  readonly random: Random
}

const SUBMIT_MAX_MS = 90_000
const LOOK_MS = 500
/** Clients that wait for an answer at a time. */
const PENDING_MAX = 32

/** Submits, reads and cancels as clients do: each submit until it is acknowledged, each mission read now and then. */
export function startLoad(
  rig: Rig,
  { name, perSecond, manifest = (more) => sixTasks(more), cancelShare = 0, random }: LoadOptions,
): Load {
  const missionIds: string[] = []
  const pending = new Set<Promise<void>>()
  const stopping = new AbortController()
  let open = 0

  const one = async (n: number): Promise<void> => {
    const key = `${name}-${n}`
    const afterMs = random.between(0, 3000)
    const cancels = random.next() < cancelShare
    const id = await rig.client.submit(key, manifest(random), performance.now() + SUBMIT_MAX_MS)
    if (id === undefined) return
    missionIds.push(id)
    await sleep(afterMs)
    if (cancels) await rig.client.cancel(id)
    await rig.client.get(id, key)
  }
  const submitting = (async () => {
    const from = performance.now()
    for (let n = 0; !stopping.signal.aborted; n += 1) {
      // What cannot be answered is not asked for more and more: that would be a storm of another kind.
      while (pending.size >= PENDING_MAX && !stopping.signal.aborted) await sleep(50)
      const work = one(n)
      pending.add(work)
      work.finally(() => pending.delete(work)).catch(() => stopping.abort())
      await sleep(Math.max(0, from + ((n + 1) * 1000) / perSecond - performance.now()))
    }
  })()
  const looking = (async () => {
    while (!stopping.signal.aborted) {
      open = (await openMissions(rig)) ?? open
      await sleep(LOOK_MS)
    }
  })()
  return {
    missionIds,
    get open() {
      return open
    },
    async stop() {
      stopping.abort()
      await Promise.all([submitting, looking])
      await Promise.all(pending)
    },
  }
}

/** Undefined while the database cannot be asked. */
export async function openMissions({ database }: Pick<Rig, 'database'>): Promise<number | undefined> {
  try {
    const { rows } = await sql<{ open: number }>`
      select count(*) as open from missions where ended_at is null`.execute(database.db)
    return rows[0]?.open
  } catch {
    return undefined // it is what is being broken
  }
}

const task = (id: string, dependsOn: readonly string[], input: object): object => ({
  id,
  member: 'worker',
  dependsOn,
  input,
  retry: { maxAttempts: 50, initialInterval: '200ms', maxInterval: '2s' },
})

/** Two beginnings, two in the middle, a join and an end; two tasks have effects outside. Each takes a time between these, in milliseconds. */
export const sixTasks = (random: Random, [low, high]: readonly [number, number] = [20, 400]): object => {
  const wait = (): number => Math.floor(random.between(low, high))
  const effects = ['keyed', 'plain']
  return crew('storm', [
    task('a', [], { waitMs: wait(), effects }),
    task('b', [], { waitMs: wait() }),
    task('c', ['a'], { waitMs: wait() }),
    task('d', ['a', 'b'], { waitMs: wait() }),
    task('e', ['c', 'd'], { waitMs: wait(), effects: ['keyed'] }),
    task('f', ['e'], { waitMs: wait() }),
  ])
}

export const oneTask = (input: object, more: object = {}): object =>
  crew('storm-one', [{ ...task('only', [], input), ...more }])

export const crew = (name: string, tasks: readonly object[], skill = 'storm.work', more: object = {}): object => ({
  apiVersion: 'hypercode/v1',
  kind: 'Crew',
  metadata: { name },
  spec: { process: 'dag', members: [{ id: 'worker', skill }], tasks, ...more },
})
