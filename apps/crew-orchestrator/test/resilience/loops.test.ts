import { createFaultProxy, waitFor } from '@hypercode/testkit'
import { expect, vi } from 'vitest'
import { openStage, test } from '../harness.ts'
import type { Stage } from '../harness.ts'

/** The loops whose connections hang. */
const HUNG = ['sweep', 'crews', 'schedules']
const STUCK = new RegExp(`^no turn finished: ${HUNG.map((loop) => String.raw`${loop} \(\d+ s\)`).join(', ')}$`)

test('a loop that does not come round turns /readyz red and is named', { timeout: 60_000 }, async ({
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
    // What must not be late hangs on connections of its own.
    await proxy.setMode('black-hole')
    await nextFailures(stage)
    // Twenty seconds pass, for everybody who asks for the time.
    const real = performance.now.bind(performance)
    vi.spyOn(performance, 'now').mockImplementation(() => real() + 20_000)
    const missed = { postgres: { ok: true }, loops: { ok: false, detail: expect.stringMatching(STUCK) as string } }
    await waitFor(
      async () => {
        expect(await readyz()).toMatchObject({ ready: false, checks: missed })
        return true
      },
      { what: 'the loops on these connections, and no others, are missed' },
    )
    await proxy.setMode('pass')
    await waitFor(async () => (await readyz()).ready, { what: 'the service is ready again' })
  } finally {
    vi.restoreAllMocks()
    await proxy.setMode('pass')
    for (const close of closers.reverse()) await close()
    await proxy.stop()
  }
})

/**
 * Waits until a turn of each has failed from now on. A turn that was under way when the connections began to hang may have its answer
 * already, and may finish at any later time, as the latest turn of all; one that has failed is followed by none that can finish.
 */
async function nextFailures({ operator }: Stage): Promise<void> {
  const failures = async (): Promise<number[]> => {
    const text = String((await operator.call<Buffer>('GET', '/metrics')).body)
    return HUNG.map((loop) =>
      Number(new RegExp(`^hypercode_loop_errors_total\\{.*loop="${loop}".*\\} (\\d+)`, 'm').exec(text)?.[1] ?? 0),
    )
  }
  const before = await failures()
  await waitFor(async () => (await failures()).every((count, index) => count > (before[index] ?? 0)), {
    what: 'a failed turn of each loop on these connections',
  })
}
