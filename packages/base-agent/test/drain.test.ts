import { setTimeout as sleep } from 'node:timers/promises'
import { startAgent } from '@hypercode/base-agent'
import { describe, expect } from 'vitest'
import { agentOf, aborted, silent, test } from './setup.ts'

describe('stop', () => {
  test('lets attempts finish, takes no new ones, and deregisters', async ({ platform, start }) => {
    const agent = agentOf(async (ctx) => {
      await sleep(300)
      ctx.signal.throwIfAborted()
      return { text: 'finished' }
    })
    const running = await start(agent)
    const id = platform.queue({ skill: 'work', input: { text: '' } })
    await platform.until('the attempt', () => platform.task(id).state === 'executing')
    const late = platform.queue({ skill: 'work', input: { text: '' } })
    await running.stop({ drainMs: 5_000 })
    expect(platform.task(id).view()).toMatchObject({ state: 'completed', output: { text: 'finished' } })
    expect(platform.task(late)).toMatchObject({ state: 'queued', attempt: 0 })
    expect(platform.instances()[0]?.lifecycle).toBe('stopped')
    expect(await running.ended).toBe('stopped')
    await running.stop()
  })

  // Goal: the process that is replaced does not take its successor with it, not even when it does not know of it yet.
  test('spares the process that has taken over the identity', async ({ platform, start }) => {
    const running = await start(agentOf((_ctx, { text }) => ({ text })))
    platform.fence()
    await running.stop()
    expect(platform.instances()).toMatchObject([{ lifecycle: 'ready', incarnation: 2 }])
  })

  test('hands back what does not finish in time, whether it listens to its signal or not', async ({
    platform,
    start,
  }) => {
    const agent = agentOf(
      async (ctx, { text }) => {
        await (text === 'deaf' ? sleep(4_000, undefined, { ref: false }) : aborted(ctx.signal))
        ctx.signal.throwIfAborted()
        return { text }
      },
      { slots: 2 },
    )
    const running = await start(agent)
    const ids = ['deaf', 'listens'].map((text) => platform.queue({ skill: 'work', input: { text } }))
    await platform.until('the attempts', () => ids.every((id) => platform.task(id).state === 'executing'))
    const beganMs = performance.now()
    await running.stop({ drainMs: 100 })
    expect(performance.now() - beganMs).toBeLessThan(3_000)
    expect(ids.map((id) => platform.task(id).state)).toEqual(['queued', 'queued'])
    expect(ids.map((id) => platform.task(id).attempts.map(({ outcome }) => outcome))).toEqual([
      ['released'],
      ['released'],
    ])
  })

  // Goal: a task that was leased in the very moment of the drain is handed back, not left to its lease.
  test('asks what a claim in flight has brought, and hands it back', async ({ platform, start }) => {
    let runs = 0
    platform.stall('claimTasks')
    const running = await start(agentOf(() => ({ text: String((runs += 1)) })))
    const id = platform.queue({ skill: 'work', input: { text: '' } })
    await platform.until('the lease', () => platform.task(id).state === 'executing')
    await running.stop()
    expect(platform.task(id)).toMatchObject({ state: 'queued', attempts: [{ outcome: 'released' }] })
    expect(runs).toBe(0)
  })

  test('works while the platform is away', async ({ platform, start }) => {
    const running = await start(agentOf(() => ({ text: '' })))
    platform.goAway()
    const beganMs = performance.now()
    await running.stop({ drainMs: 100 })
    expect(performance.now() - beganMs).toBeLessThan(9_000)
  })

  test('while it registers gives up', async ({ platform }) => {
    platform.goAway()
    const settings = { ...platform.settings, logger: silent() }
    const starting = startAgent(
      agentOf(() => ({ text: '' })),
      settings,
      { signal: AbortSignal.timeout(300) },
    )
    await expect(starting).rejects.toThrow('stopped before it was registered')
  })
})
