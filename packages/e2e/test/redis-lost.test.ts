import { ROUTES } from '@hypercode/contracts'
import type { CloudEvent } from '@hypercode/contracts'
import { openRedis } from '@hypercode/events'
import { waitFor } from '@hypercode/testkit/tools'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { crewOf, startScenario } from './scenario.ts'
import type { Scenario } from './scenario.ts'

let scenario: Scenario
beforeAll(async () => {
  scenario = await startScenario()
  await scenario.worker('redis-1')
})
afterAll(async () => scenario.stop())

const submit = async (name: string, count: number, waitMs: number) => {
  const tasks = Array.from({ length: count }, (_, n) => ({
    id: `t${n}`,
    ...(n < 2 ? {} : { dependsOn: [`t${n - 2}`] }),
    input: { waitMs, value: n },
  }))
  return (
    await scenario.client.call(ROUTES.submitMission, { body: { manifest: crewOf(name, tasks) as never, input: {} } })
  ).body
}

/** Every event of a mission until it ends, as a watcher of the stream sees them. */
async function watch(id: string): Promise<CloudEvent[]> {
  const events: CloudEvent[] = []
  for await (const event of scenario.client.stream(ROUTES.watchMission, { params: { id } })) events.push(event)
  return events
}

// Goal: Redis is a doorbell. Flushing it in mid-mission loses no work and no event.
test('a flushed Redis loses nothing', async () => {
  const redis = openRedis({ url: scenario.stack.redisUrl, role: 'reader', onError: () => undefined })
  try {
    const mission = await submit('flush', 10, 150)
    const watched = watch(mission.id)
    for (let n = 0; n < 5; n += 1) {
      await waitFor(async () => (await redis.dbsize()) > 0, { what: 'something to flush', timeoutMs: 10_000 })
      await redis.flushall()
    }
    expect(await scenario.end(mission.id)).toMatchObject({ state: 'completed', tasks: { total: 10, open: 0 } })
    const events = await watched
    expect(events.map((event) => event.seq)).toEqual(Array.from({ length: events.length }, (_, index) => index + 1))
    expect(events.at(-1)?.type).toBe('hypercode.mission.completed.v1')
  } finally {
    redis.disconnect()
  }
})

// Goal: work moves while Redis is gone, and the streams catch up when it is back.
test('missions complete while Redis is down, and nobody has to be restarted', async () => {
  const { redis } = scenario.stack.servers
  await redis.kill('SIGKILL')
  try {
    const mission = await submit('without-redis', 4, 50)
    expect(await scenario.end(mission.id)).toMatchObject({ state: 'completed' })
    const ready = await fetch(`${scenario.orchestrators[0]?.url}/readyz`)
    const body = (await ready.json()) as { checks: Record<string, { ok: boolean }> }
    expect(ready.status).toBe(200)
    expect(body.checks['redis']?.ok).toBe(false)
  } finally {
    await redis.restart()
  }
  const after = await submit('with-redis-again', 4, 50)
  expect(await scenario.end(after.id)).toMatchObject({ state: 'completed' })
  expect((await watch(after.id)).at(-1)?.type).toBe('hypercode.mission.completed.v1')
})
