import { ROUTES } from '../../../packages/contracts/src/index.ts'
import { CHAIN, FAN, SINGLE } from '../../dev/src/bench/crews.ts'
import { startRig } from '../../dev/src/bench/rig.ts'
import { burst, openWatch, runToEnd } from '../../dev/src/bench/workloads.ts'
import type { Contender } from './contender.ts'

/** Us: the built services as they are deployed, behind the gateway, with tokens, limits and logs at warn. */
export async function start(): Promise<Contender> {
  const rig = await startRig()
  try {
    for (const crew of [SINGLE, CHAIN, FAN]) {
      await rig.platform.client.call(ROUTES.createCrew, { body: crew as never })
    }
    const watch = openWatch(rig)
    return {
      burst: async (missions) => burst(rig, watch.db, missions),
      single: async () => void (await runToEnd(rig, 'bench-single')),
      chain: async () => void (await runToEnd(rig, 'bench-chain')),
      fan: async () => void (await runToEnd(rig, 'bench-fan')),
      settings: {
        services: 'gateway, agent-registry and crew-orchestrator, one process each, Postgres behind PgBouncer',
        agent: 'one process with 1,000 slots, the most that one may have',
        P1: 'POST /v1/missions:batch, 1,000 missions a request',
        'P2–P4': 'POST /v1/missions with `Prefer: wait`; each result is known by the answer',
      },
      async stop() {
        await watch.close()
        await rig.stop()
      },
    }
  } catch (error) {
    await rig.stop()
    throw error
  }
}
