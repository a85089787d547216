import { deleteExpiredRevocations } from '@hypercode/db'
import type { ServiceApp } from '@hypercode/http'
import type { GatewayConfig } from './config.ts'
import type { GatewayDeps, Parts } from './parts.ts'
import { startNews } from './streams/news.ts'
import type { News } from './streams/news.ts'

const HOUSEKEEPING_EVERY_MS = 60_000

/** Ties what goes on in the background to the life of the app: it begins when the app is ready and ends with its drain or close. */
export function startBackground(app: ServiceApp, config: GatewayConfig, deps: GatewayDeps, parts: Parts): void {
  const { log, database, keys } = deps
  const { hub, backbone, state } = parts
  const { loops } = backbone
  const upstreams = Object.values(parts.upstreams)
  let news: News | undefined

  app.addHook('onReady', async () => {
    try {
      await backbone.readRevocations()
    } catch (err) {
      log.warn({ err }, 'the revocations cannot be read yet; not ready until they are')
    }
    backbone.startReading()
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
