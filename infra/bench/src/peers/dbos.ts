import { DBOS } from '@dbos-inc/dbos-sdk'
import { FAN_WIDTH, PAYLOAD, expectPayload, noop } from '../contender.ts'
import type { Contender, Ground } from '../contender.ts'
import { runConcurrently } from '../../../dev/src/bench/statistics.ts'

const POOL = 20
const IN_FLIGHT = 200

const step = async (name: string): Promise<{ ok: boolean; payload: string }> =>
  DBOS.runStep(async () => noop(), { name })

const single = DBOS.registerWorkflow(async (_input: { payload: string }) => noop(), { name: 'single' })
const chain = DBOS.registerWorkflow(
  async (_input: { payload: string }) => {
    expectPayload(await step('first'))
    expectPayload(await step('second'))
    return await step('third')
  },
  { name: 'chain' },
)
const fan = DBOS.registerWorkflow(
  async (_input: { payload: string }) => {
    await step('list')
    await Promise.all(Array.from({ length: FAN_WIDTH }, async (_, n) => step(`each-${n}`)))
    return await step('join')
  },
  { name: 'fan' },
)

/** In one process, as a library: nothing is handed from a submitter to a worker, which the others have to do. */
export async function start({ openServers }: Ground): Promise<Contender> {
  const { databaseUrl } = await openServers()
  DBOS.setConfig({
    name: 'bench',
    systemDatabaseUrl: databaseUrl,
    systemDatabasePoolSize: POOL,
    logLevel: 'error',
    tracingEnabled: false,
  })
  await DBOS.launch()
  const input = { payload: PAYLOAD }
  const run = async (workflow: (input: { payload: string }) => Promise<unknown>): Promise<void> => {
    const handle = await DBOS.startWorkflow(workflow)(input)
    expectPayload(await handle.getResult())
  }
  return {
    burst: async (missions) => runConcurrently(missions, IN_FLIGHT, async () => run(single)),
    single: async () => run(single),
    chain: async () => run(chain),
    fan: async () => run(fan),
    settings: {
      process: 'submitter and workflows in one process, no queue between them',
      pool: `${POOL} connections straight to Postgres`,
      P1: `startWorkflow, ${IN_FLIGHT} in flight; the workflow is the task`,
      'P2–P4': 'startWorkflow and getResult; tasks are steps, side by side with Promise.all',
    },
    stop: async () => DBOS.shutdown(),
  }
}
