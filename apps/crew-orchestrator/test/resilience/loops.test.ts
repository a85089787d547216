import { createFaultProxy, waitFor } from '@hypercode/testkit'
import { expect, vi } from 'vitest'
import { openStage, test } from '../harness.ts'

const STUCK = /^no turn finished: sweep \(\d+ s\), crews \(\d+ s\), schedules \(\d+ s\)$/

test('a loop that does not come round turns /readyz red and is named', async ({
  database,
  db,
  redisUrl,
  keys,
  tenant,
}) => {
  const proxy = await createFaultProxy(database.url)
  const closers: (() => Promise<unknown> | void)[] = []
  try {
    const stage = await openStage({
      databaseUrl: database.url,
      urgentUrl: proxy.through(database.url),
      db,
      redisUrl,
      keys,
      tenant,
      settings: { ORCHESTRATOR_SWEEP_MS: '100' },
      closers,
    })
    const readyz = async (): Promise<{ ready: boolean; checks: Record<string, { ok: boolean; detail?: string }> }> =>
      (await stage.orchestrator.app.inject('/readyz')).json()
    await waitFor(async () => (await readyz()).ready, { what: 'the service is ready' })
    // What must not be late hangs on connections of its own. Twenty seconds pass, for everybody who asks for the time.
    await proxy.setMode('black-hole')
    await waitFor(() => proxy.connections > 0, { what: 'a sweep is under way' })
    const real = performance.now.bind(performance)
    vi.spyOn(performance, 'now').mockImplementation(() => real() + 20_000)
    const red = await waitFor(
      async () => {
        const { ready, checks } = await readyz()
        return !ready && STUCK.test(checks['loops']?.detail ?? '') && checks
      },
      { what: 'the loops on these connections, and no others, are missed', timeoutMs: 8000 },
    )
    expect(red).toMatchObject({ postgres: { ok: true }, loops: { ok: false } })
    await proxy.setMode('pass')
    await waitFor(async () => (await readyz()).ready, { what: 'the service is ready again', timeoutMs: 15_000 })
  } finally {
    vi.restoreAllMocks()
    await proxy.setMode('pass')
    for (const close of closers.reverse()) await close()
    await proxy.stop()
  }
})
