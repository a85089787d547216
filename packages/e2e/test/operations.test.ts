import { ROUTES } from '@hypercode/contracts'
import type { Operation } from '@hypercode/contracts'
import { waitFor } from '@hypercode/testkit/tools'
import type { ServiceProcess } from '@hypercode/testkit/tools'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { crewOf, startScenario } from './scenario.ts'
import type { Scenario } from './scenario.ts'

let scenario: Scenario
beforeAll(async () => {
  scenario = await startScenario({ orchestrators: 2, env: { OPERATION_BATCH_MAX: '50' } })
})
afterAll(async () => scenario.stop())

const COUNT = 1000

// Goal: what is done to many is done once to each, although the orchestrators die while they do it.
// Method: built services as processes; kill -9 again and again until the operation is through, and the audit tells what was done.
test('orchestrators are killed while they cancel a thousand missions: each is canceled, counted and audited once', {
  timeout: 240_000,
}, async () => {
  const mission = { manifest: crewOf('many', [{ id: 'one', input: {} }]) as never }
  await scenario.client.call(ROUTES.submitMissions, {
    body: { missions: Array.from({ length: COUNT }, () => mission) },
  })
  const { body: begun } = await scenario.client.call(ROUTES.startOperation, {
    body: { action: 'cancelMission', filter: { crew: 'many' } },
    idempotencyKey: 'cancel-many',
  })
  const { id } = begun as Operation
  const read = async (): Promise<Operation> =>
    (await scenario.client.call(ROUTES.getOperation, { params: { id } })).body
  let kills = 0
  for (let done = -1; ; kills += 1) {
    const operation = await waitFor(
      async () => {
        const now = await read()
        return now.endedAt !== undefined || now.done > done ? now : undefined
      },
      { what: 'progress', timeoutMs: 60_000, everyMs: 5 },
    )
    if (operation.endedAt !== undefined) break
    done = operation.done + COUNT / 4
    await Promise.all(scenario.orchestrators.map(killed))
  }
  expect(kills).toBeGreaterThanOrEqual(3)
  expect(await read()).toMatchObject({ state: 'completed', matched: COUNT, done: COUNT, skipped: 0, failed: 0 })
  const refs: string[] = []
  for (let cursor: string | undefined; ; ) {
    const { body: page } = await scenario.client.call(ROUTES.listAudit, {
      query: { limit: 500, ...(cursor === undefined ? {} : { cursor }) },
    })
    for (const { detail, ref } of page.items) if (detail['operation'] === `operation/${id}`) refs.push(ref ?? '')
    cursor = page.nextCursor
    if (cursor === undefined) break
  }
  expect(refs).toHaveLength(COUNT)
  expect(new Set(refs).size).toBe(COUNT)
})

async function killed(orchestrator: ServiceProcess): Promise<void> {
  orchestrator.kill('SIGKILL')
  await orchestrator.exited
  await orchestrator.restart()
}
