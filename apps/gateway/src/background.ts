import { deleteExpiredRevocations } from '@hypercode/db'
import type { ServiceApp } from '@hypercode/http'
import type { GatewayConfig } from './config.ts'
import type { GatewayDeps, Parts } from './parts.ts'
import { startNews } from './streams/news.ts'
import type { News } from './streams/news.ts'

/** Within so long a revocation is known to every replica; each of them asks Postgres for what is new. */
const REVOCATIONS_EVERY_MS = 1000
const HOUSEKEEPING_EVERY_MS = 60_000

/** Ties what goes on in the background to the life of the app: it begins when the app is ready and ends with its drain or close. */
export function startBackground(app: ServiceApp, config: GatewayConfig, deps: GatewayDeps, parts: Parts): void {
  const { log, database, keys } = deps
  const { hub, loops, revocations, state } = parts
  const upstreams = Object.values(parts.upstreams)
  let news: News | undefined

  const readRevocations = async (): Promise<void> => {
    await revocations.refresh()
    state.revocationsKnown = true
  }

  app.addHook('onReady', async () => {
    try {
      await readRevocations()
    } catch (err) {
      log.warn({ err }, 'the revocations cannot be read yet; not ready until they are')
    }
    loops.start('revocations', {
      everyMs: REVOCATIONS_EVERY_MS,
      backoffMaxMs: REVOCATIONS_EVERY_MS,
      run: readRevocations,
    })
    loops.start('housekeeping', {
      everyMs: HOUSEKEEPING_EVERY_MS,
      run: async () => void (await deleteExpiredRevocations(database.db)),
    })
    news = startNews({ hub, loops, state, redisUrl: config.REDIS_URL, keys, log })
  })
  app.drainSignal.addEventListener('abort', () => {
    hub.close()
    for (const upstream of upstreams) upstream.release()
  })
  app.addHook('onClose', async () => {
    await Promise.all([news?.stop(), loops.stop(), ...upstreams.map(async (upstream) => await upstream.close())])
  })
}
