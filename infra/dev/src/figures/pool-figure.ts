import { APP_ROLE } from '@hypercode/local-stack'
import { openDatabase } from '@hypercode/db'
import { ROUTES } from '@hypercode/contracts'
import { sql } from 'kysely'
import { FAN } from '../bench/crews.ts'
import { startRig } from '../bench/rig.ts'
import type { FigureSpec } from './figure.ts'

const AGENT_PROCESSES = 10
const INSTANCES = 5
const POOL = 20
const MISSIONS = 200
const IN_FLIGHT = 20
const SAMPLE_MS = 20

export const poolOf50Agents: FigureSpec = {
  name: 'pool-50-agents',
  about: `${AGENT_PROCESSES * INSTANCES} agents at work on a server-side pool of ${POOL} connections: no error, no connection beyond the pool`,
  bar: `<= ${POOL} connections, 0 errors`,
  async measure() {
    const rig = await startRig({ agents: AGENT_PROCESSES, instances: INSTANCES, slots: 4, durable: true })
    const watch = openDatabase({
      url: rig.platform.stack.directDatabaseUrl,
      poolMax: 1,
      applicationName: 'figure-watch',
      onIdleError: () => undefined,
    })
    let most = 0
    let errors = 0
    const sample = async (): Promise<void> => {
      const seen = await sql<{
        n: number
      }>`select count(*) as n from pg_stat_activity where usename = ${APP_ROLE}`.execute(watch.db)
      most = Math.max(most, seen.rows[0]?.n ?? 0)
    }
    const sampling = setInterval(() => {
      sample().catch(() => {
        errors += 1
      })
    }, SAMPLE_MS)
    try {
      const { client, gateway, registry, orchestrators } = rig.platform
      const found = await sql<{
        n: number
      }>`select count(*) as n from agent_instances where lifecycle = 'ready' and lease_expires_at > now()`.execute(
        watch.db,
      )
      const registered = found.rows[0]?.n ?? 0
      await client.call(ROUTES.createCrew, { body: FAN as never })
      let next = 0
      const lane = async (): Promise<void> => {
        while (next++ < MISSIONS) {
          const { body } = await client.call(ROUTES.submitMission, {
            body: { crew: 'bench-fan', input: {} },
            headers: { prefer: 'wait=60' },
            timeoutMs: 70_000,
          })
          if (body.state !== 'completed') errors += 1
        }
      }
      await Promise.all(Array.from({ length: IN_FLIGHT }, lane))
      const logged = [gateway, registry, ...orchestrators]
        .flatMap((service) => service.lines)
        .filter((line) => line['level'] === 'error').length
      errors += logged
      return {
        figure: most,
        unit: 'connections',
        ok: most <= POOL && errors === 0 && registered === AGENT_PROCESSES * INSTANCES,
        more: { errors, agents: registered, missions: MISSIONS },
      }
    } finally {
      clearInterval(sampling)
      await watch.close()
      await rig.stop()
    }
  },
}
