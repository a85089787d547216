import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { buildService } from './service.ts'

interface Child {
  readonly url: string
  readonly process: ChildProcess
  readonly said: string[]
  readonly end: Promise<{ code: number | null; tookMs: number }>
  /** Sends SIGTERM. */
  readonly stop: () => void
}

async function startChild(env: Record<string, string> = {}): Promise<Child> {
  const file = fileURLToPath(new URL('drain-child.ts', import.meta.url))
  const child = spawn(process.execPath, ['--conditions=@hypercode/source', file], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const said: string[] = []
  createInterface({ input: child.stdout }).on('line', (line) => said.push(line))
  let stoppedAt = performance.now()
  const end = once(child, 'close').then(([code]) => ({
    code: code as number | null,
    tookMs: performance.now() - stoppedAt,
  }))
  await expect.poll(() => said[0], { timeout: 10_000 }).toMatch(/^http/)
  const stop = (): void => {
    stoppedAt = performance.now()
    child.kill('SIGTERM')
  }
  return { url: said[0] ?? '', process: child, said, end, stop }
}

const begun = async (child: Child, what: string): Promise<void> => {
  await expect.poll(() => child.said).toContain(`${what} begun`)
}

// Goal: a service that is told to stop loses no request. Method: real processes, real signals.
describe('after SIGTERM', () => {
  test('an idle service ends at once, with 0 and in order', async () => {
    const child = await startChild()
    await fetch(`${child.url}/quick`)
    child.stop()
    const { code, tookMs } = await child.end
    expect(code).toBe(0)
    expect(tookMs).toBeLessThan(2000)
    expect(child.said.slice(1)).toEqual(['draining', 'closed'])
  })

  test('a request in flight is answered, a new one gets 503, and /readyz is red', async () => {
    const child = await startChild()
    const slow = fetch(`${child.url}/slow`)
    await begun(child, 'slow')
    child.stop()
    await expect.poll(() => child.said).toContain('draining')
    const fresh = await fetch(`${child.url}/quick`)
    expect(fresh.status).toBe(503)
    expect(fresh.headers.get('retry-after')).toBe('1')
    expect((await fetch(`${child.url}/readyz`)).status).toBe(503)
    expect((await fetch(`${child.url}/livez`)).status).toBe(200)
    const answer = await slow
    expect([answer.status, await answer.json()]).toEqual([200, { done: true }])
    expect((await child.end).code).toBe(0)
  })

  test('long polls and streams end by themselves', async () => {
    const child = await startChild()
    const poll = fetch(`${child.url}/poll`)
    const events = await fetch(`${child.url}/events`)
    await begun(child, 'poll')
    child.stop()
    expect(await (await poll).json()).toEqual({ work: [] })
    expect(await events.text()).toBe('data: 1\n\ndata: last\n\n')
    const { code, tookMs } = await child.end
    expect(code).toBe(0)
    expect(tookMs).toBeLessThan(2000)
  })

  test('a request that never ends is cut off after drainMs', async () => {
    const child = await startChild({ DRAIN_MS: '300' })
    const never = fetch(`${child.url}/never`).then(
      () => 'answered',
      () => 'cut off',
    )
    await begun(child, 'never')
    child.stop()
    const { code, tookMs } = await child.end
    expect(await never).toBe('cut off')
    expect(code).toBe(0)
    expect(tookMs).toBeGreaterThanOrEqual(290)
    expect(tookMs).toBeLessThan(3000)
  })

  test('a second signal ends it at once, with 1', async () => {
    const child = await startChild({ DRAIN_MS: '60000' })
    const never = fetch(`${child.url}/never`).catch(() => 'cut off')
    await begun(child, 'never')
    child.stop()
    await expect.poll(() => child.said).toContain('draining')
    child.stop()
    const { code, tookMs } = await child.end
    expect([code, await never]).toEqual([1, 'cut off'])
    expect(tookMs).toBeLessThan(2000)
  })

  test('a drain that fails does not keep it from closing', async () => {
    const child = await startChild({ SCENE: 'drain fails' })
    child.stop()
    expect((await child.end).code).toBe(0)
    expect(child.said.slice(1)).toEqual(['draining', 'closed'])
  })
})

test('SIGINT means the same', async () => {
  const child = await startChild()
  child.process.kill('SIGINT')
  expect((await child.end).code).toBe(0)
})

test('an uncaught error closes the service and ends it with 1', async () => {
  const child = await startChild()
  await fetch(`${child.url}/crash`)
  const { code } = await child.end
  expect(code).toBe(1)
  expect(child.said).toContain('closed')
})

test('app.close() alone ends long polls too', async () => {
  const { app } = await buildService((app) => {
    app.get('/poll', { config: { public: true, longLived: true } }, async () => {
      await new Promise<void>((resolve) => app.drainSignal.addEventListener('abort', () => resolve()))
      return {}
    })
  })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const poll = fetch(`${url}/poll`).catch(() => 'cut off')
  await expect.poll(() => app.requestsInFlight()).toBe(1)
  await app.close()
  expect(app.drainSignal.aborted).toBe(true)
  await poll
  expect(app.requestsInFlight()).toBe(0)
})
