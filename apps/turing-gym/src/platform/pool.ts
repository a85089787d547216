import { setTimeout as sleep } from 'node:timers/promises'
import { ApiError } from '@hypercode/client'
import type { HyperClient } from '@hypercode/client'
import { ROUTES } from '@hypercode/contracts'
import type { Instance } from '@hypercode/contracts'
import { allPages } from './pages.ts'
import { isOutage, persist } from './persist.ts'

/** Instances that only take the tasks of one pool, made for a run or for one sample of it. */
export interface PoolOrder {
  readonly pool: string
  readonly blueprint: { readonly name: string; readonly version: number }
  readonly count: number
  readonly env?: Readonly<Record<string, string>>
}

export interface PoolBounds {
  /** How long they may take to become ready, and the platform to answer. */
  readonly readyMs: number
  readonly signal: AbortSignal
}

/** There are no instances to take samples from, and waiting longer would not help. */
export class PoolFault extends Error {
  override readonly name = 'PoolFault'
}

const LIVE_MAX = 1000
const LOOK_EVERY_MS = 200
const SPAWN_MAX = 50
/** Instances that are on their way out, or will not come by themselves. */
const GOING = new Set<Instance['lifecycle']>(['draining', 'stopped', 'reaped', 'failed'])

/**
 * Brings the pool to its size and waits until all of it is ready. What is there already counts, so it may be called again after a crash.
 *
 * @throws {PoolFault} when an instance is quarantined, or they are not ready in time
 */
export async function fillPool(client: HyperClient, order: PoolOrder, bounds: PoolBounds): Promise<void> {
  const giveUpAt = performance.now() + bounds.readyMs
  while (true) {
    const live = (await livePool(client, order.pool, bounds)).filter(({ lifecycle }) => !GOING.has(lifecycle))
    const broken = live.find(({ lifecycle }) => lifecycle === 'quarantined')
    if (broken !== undefined) throw new PoolFault(`an instance is quarantined: ${describe(broken)}`)
    const ready = live.filter(({ lifecycle }) => lifecycle === 'ready').length
    if (ready >= order.count) return
    if (performance.now() > giveUpAt) {
      const words = live.map(describe).join('; ')
      throw new PoolFault(`${ready} of ${order.count} instances were ready in time${words === '' ? '' : `: ${words}`}`)
    }
    for (const { id, lifecycle } of live) if (lifecycle === 'hibernating') await wake(client, id, bounds)
    if (live.length < order.count) await spawn(client, { ...order, count: order.count - live.length }, bounds)
    else await sleep(LOOK_EVERY_MS, undefined, { signal: bounds.signal })
  }
}

/** A spawn whose answer was lost is not repeated here: the next look at the pool says whether it took place. */
async function spawn(
  client: HyperClient,
  { pool, blueprint, count, env }: PoolOrder,
  bounds: PoolBounds,
): Promise<void> {
  try {
    await client.call(ROUTES.spawnInstances, {
      params: { name: blueprint.name, version: `${blueprint.version}` },
      body: {
        count: Math.min(count, SPAWN_MAX),
        pool,
        ...(env !== undefined && { env }),
        waitMs: Math.min(10_000, bounds.readyMs),
      },
      timeoutMs: 25_000,
      signal: bounds.signal,
    })
  } catch (error) {
    bounds.signal.throwIfAborted()
    if (error instanceof ApiError && error.status < 500 && error.status !== 429 && error.code !== 'no_capacity') {
      throw new PoolFault(`instances cannot be spawned: ${error.message}`)
    }
    await sleep(LOOK_EVERY_MS * 5, undefined, { signal: bounds.signal })
  }
}

async function wake(client: HyperClient, id: string, { signal }: PoolBounds): Promise<void> {
  try {
    await client.call(ROUTES.wakeInstance, { params: { id }, signal })
  } catch (error) {
    // It woke, or ended, by itself; or nobody answered, and the next look at the pool asks again.
    if (!isOutage(error) && !(error instanceof ApiError && error.status === 409)) throw error
  }
}

/** Ends every instance whose pool begins with `prefix`. Ending one that is on its way out changes nothing. */
export async function endPools(
  client: HyperClient,
  blueprint: string,
  prefix: string,
  bounds: PoolBounds,
): Promise<void> {
  const live = await persist(
    { forMs: bounds.readyMs, signal: bounds.signal },
    async () =>
      await allPages(
        async (cursor) =>
          (
            await client.call(ROUTES.listInstances, {
              query: { blueprint, live: true, limit: 500, cursor },
              signal: bounds.signal,
            })
          ).body,
        LIVE_MAX,
      ),
  )
  const ours = live.filter(({ pool, lifecycle }) => pool?.startsWith(prefix) === true && lifecycle !== 'draining')
  await Promise.all(ours.map(async ({ id }) => await endInstance(client, id, bounds)))
}

async function endInstance(client: HyperClient, id: string, bounds: PoolBounds): Promise<void> {
  await persist({ forMs: bounds.readyMs, signal: bounds.signal }, async () => {
    try {
      await client.call(ROUTES.endInstance, { params: { id }, signal: bounds.signal })
    } catch (error) {
      // It ended by itself.
      if (!(error instanceof ApiError) || (error.status !== 404 && error.status !== 409)) throw error
    }
  })
}

/** What lives of one pool. */
export async function livePool(
  client: HyperClient,
  pool: string,
  { readyMs, signal }: PoolBounds,
): Promise<readonly Instance[]> {
  return await persist(
    { forMs: readyMs, signal },
    async () =>
      (await client.call(ROUTES.listInstances, { query: { pool, live: true, limit: 100 }, signal })).body.items,
  )
}

function describe({ id, lifecycle, reason, lastLines, crashes }: Instance): string {
  const why = reason ?? crashes[0]?.detail ?? crashes[0]?.reason
  const lines =
    lastLines === undefined || lastLines.length === 0 ? '' : `; last lines: ${lastLines.slice(-5).join(' | ')}`
  return `${id} is ${lifecycle}${why === undefined ? '' : ` (${why})`}${lines}`.slice(0, 1500)
}
