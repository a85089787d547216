import { ROUTES } from '@hypercode/contracts'
import { openDatabase } from '@hypercode/db'
import { openRedis } from '@hypercode/events'
import { withContext } from '@hypercode/telemetry'
import { waitFor } from '@hypercode/testkit/tools'
import type { ServiceProcess } from '@hypercode/testkit/tools'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { crewOf, startScenario } from './scenario.ts'
import type { Scenario } from './scenario.ts'

let scenario: Scenario
let worker: ServiceProcess
beforeAll(async () => {
  scenario = await startScenario()
  worker = await scenario.worker('correlated')
})
afterAll(async () => scenario.stop())

// Goal: one correlation id is enough to follow a mission from the HTTP request to its result.
// Method: submit with an id of ours, then look for it everywhere a mission leaves a trace.
test('a correlation id can be followed over gateway, orchestrator, outbox, stream and agent to the result', async () => {
  const correlationId = 'follow-me-0001'
  const response = await withContext({ correlationId }, async () =>
    scenario.client.call(ROUTES.submitMission, {
      body: { manifest: crewOf('followed', [{ id: 'one', input: { value: 1 } }]) as never, input: {} },
      headers: { prefer: 'wait=20' },
    }),
  )
  const mission = response.body
  expect(mission).toMatchObject({ state: 'completed', correlationId })
  expect(response.headers['x-correlation-id']).toBe(correlationId)

  const linesOf = (service: ServiceProcess) => service.lines.filter((line) => line['correlationId'] === correlationId)
  const orchestrator = scenario.orchestrators[0] as ServiceProcess
  await waitFor(
    () => linesOf(worker).length > 0 && linesOf(scenario.gateway).length > 0 && linesOf(orchestrator).length > 2,
    { what: 'the lines of all three' },
  )
  for (const service of [scenario.gateway, orchestrator, worker]) {
    for (const line of linesOf(service)) {
      expect(Object.keys(line)).toEqual(expect.arrayContaining(['ts', 'level', 'service', 'correlationId']))
    }
  }
  const working = linesOf(worker).find((line) => line['msg'] === 'working')
  expect(working).toMatchObject({
    service: 'worker',
    level: 'info',
    missionId: mission.id,
    attempt: 1,
    tenantId: expect.any(String),
    taskId: expect.any(String),
  })
  const told = linesOf(orchestrator).map((line) => line['event'])
  expect(told).toEqual(
    expect.arrayContaining(['mission.submitted', 'task.claimed', 'task.completed', 'mission.completed']),
  )
  expect(linesOf(orchestrator).find((line) => line['event'] === 'task.completed')).toMatchObject({
    missionId: mission.id,
    attempt: 1,
    taskId: working?.['taskId'],
    tenantId: working?.['tenantId'],
  })

  const redis = openRedis({ url: scenario.stack.redisUrl, role: 'reader', onError: () => undefined })
  try {
    const entries = await redis.xrange('hc:{s0}:events', '-', '+')
    const hints = entries.flatMap(
      ([, fields]) => JSON.parse(fields[1] ?? '[]') as { missionId?: string; correlationId?: string }[],
    )
    expect(
      hints.filter((hint) => hint.missionId === mission.id).every((hint) => hint.correlationId === correlationId),
    ).toBe(true)
    expect(hints.some((hint) => hint.missionId === mission.id)).toBe(true)
  } finally {
    redis.disconnect()
  }

  const events = []
  for await (const event of scenario.client.stream(ROUTES.watchMission, { params: { id: mission.id } }))
    events.push(event)
  expect(events.length).toBeGreaterThan(4)
  expect(events.every((event) => event.correlationid === correlationId)).toBe(true)

  const database = openDatabase({
    url: scenario.stack.databaseUrl,
    poolMax: 1,
    applicationName: 'e2e',
    onIdleError: () => undefined,
  })
  try {
    await waitFor(async () => (await database.db.selectFrom('outbox').select('id').execute()).length === 0, {
      what: 'the outbox to be sent',
      timeoutMs: 10_000,
    })
  } finally {
    await database.close()
  }
})
