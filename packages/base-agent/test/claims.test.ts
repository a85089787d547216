import { setTimeout as sleep } from 'node:timers/promises'
import type { ClaimRequest, CompletionRequest } from '@hypercode/contracts'
import { describe, expect } from 'vitest'
import { agentOf, test } from './setup.ts'

describe('claims', () => {
  test('ask for as many tasks as there are free slots, and never hold more', async ({ platform, start }) => {
    let running = 0
    let most = 0
    const agent = agentOf(
      async () => {
        most = Math.max(most, (running += 1))
        await sleep(20)
        running -= 1
        return { text: '' }
      },
      { slots: 3 },
    )
    const ids = Array.from({ length: 12 }, () => platform.queue({ skill: 'work', input: { text: '' } }))
    await start(agent)
    await Promise.all(ids.map((id) => platform.ended(id)))
    const polls = platform.received('claimTasks').map(({ body }) => (body as ClaimRequest).max)
    expect(polls[0]).toBe(3)
    expect(Math.max(...polls)).toBe(3)
    expect(most).toBe(3)
  })

  // Goal: the agent is at the first tasks while the platform leases the next.
  test('ask for no more than a portion, however many slots are free', async ({ platform, start }) => {
    const allRun = Promise.withResolvers<void>()
    let running = 0
    const agent = agentOf(
      async () => {
        if ((running += 1) === 600) allRun.resolve()
        await allRun.promise
        return { text: '' }
      },
      { slots: 1000 },
    )
    const ids = Array.from({ length: 600 }, () => platform.queue({ skill: 'work', input: { text: '' } }))
    await start(agent)
    await Promise.all(ids.map((id) => platform.ended(id)))
    expect(Math.max(...platform.received('claimTasks').map(({ body }) => (body as ClaimRequest).max))).toBe(250)
  })

  // Goal: who submits one mission after the other finds the claim there that the next one is handed to.
  test('come behind the report of what ended at once, and do not wait for its answer', async ({ platform, start }) => {
    platform.stall('completeTasks')
    await start(
      agentOf(() => ({ text: '' }), { slots: 2 }),
      { claimWaitMs: 30_000 },
    )
    platform.queue({ skill: 'work', input: { text: '' } })
    await platform.until('the next claim', () => platform.received('claimTasks').length === 2)
    const [, next] = platform.received('claimTasks')
    const [report] = platform.received('completeTasks')
    expect(report?.atMs).toBeLessThan(next?.atMs ?? 0)
  })

  // Goal: tasks whose answer was lost on the way come to the agent that holds them, in the same attempt.
  test('a claim without an answer is repeated under its id', async ({ platform, start }) => {
    const attempts: number[] = []
    const agent = agentOf(
      (ctx) => {
        attempts.push(ctx.attempt)
        return { text: '' }
      },
      { slots: 2 },
    )
    const ids = Array.from({ length: 2 }, () => platform.queue({ skill: 'work', input: { text: '' } }))
    platform.cutReplies('claimTasks', 3)
    await start(agent)
    await Promise.all(ids.map((id) => platform.ended(id)))
    const requests = platform.received('claimTasks').map(({ body }) => body as ClaimRequest)
    expect(new Set(requests.slice(0, 4).map(({ claimId }) => claimId)).size).toBe(1)
    expect(attempts).toEqual([1, 1])
  })

  test('a platform that refuses claims for a while is asked again', async ({ platform, start }) => {
    platform.refuse('claimTasks', 'unavailable', 3)
    await start(agentOf(() => ({ text: '' })))
    const task = await platform.ended(platform.queue({ skill: 'work', input: { text: '' } }))
    expect(task.state).toBe('completed')
  })

  test('an instance that people drain takes nothing until it may again', async ({ platform, start }) => {
    await start(
      agentOf(() => ({ text: '' })),
      { claimWaitMs: 50 },
    )
    const [instance] = platform.instances()
    if (instance === undefined) throw new Error('nobody has registered')
    instance.lifecycle = 'draining'
    await platform.until('two beats', () => instance.beats.length > 2)
    const before = platform.received('claimTasks').length
    await sleep(300)
    expect(platform.received('claimTasks').length - before).toBeLessThanOrEqual(1)
    const id = platform.queue({ skill: 'work', input: { text: '' } })
    instance.lifecycle = 'ready'
    expect((await platform.ended(id)).state).toBe('completed')
  })

  // Goal: a spare that is promoted has its claim at the platform already, so it works in the same moment.
  test('an instance that is warming keeps its claim waiting, and has work as soon as it is ready', async ({
    platform,
    start,
  }) => {
    await start(
      agentOf(() => ({ text: '' })),
      { claimWaitMs: 50 },
    )
    const [instance] = platform.instances()
    if (instance === undefined) throw new Error('nobody has registered')
    instance.lifecycle = 'warming'
    await platform.until('two beats', () => instance.beats.length > 2)
    const id = platform.queue({ skill: 'work', input: { text: '' } })
    const before = platform.received('claimTasks').length
    await platform.until('more claims', () => platform.received('claimTasks').length > before + 2, 800)
    expect(platform.task(id).state).toBe('queued')
    instance.lifecycle = 'ready'
    expect((await platform.ended(id)).state).toBe('completed')
  })

  test('an instance that was drained and then quarantined works again once it is released', async ({
    platform,
    start,
  }) => {
    await start(
      agentOf(() => ({ text: '' })),
      { claimWaitMs: 50 },
    )
    const [instance] = platform.instances()
    if (instance === undefined) throw new Error('nobody has registered')
    for (const lifecycle of ['draining', 'quarantined', 'ready'] as const) {
      instance.lifecycle = lifecycle
      const before = instance.beats.length
      await platform.until('two beats', () => instance.beats.length > before + 1)
    }
    const id = platform.queue({ skill: 'work', input: { text: '' } })
    expect((await platform.ended(id)).state).toBe('completed')
  })
})

describe('completions', () => {
  // Goal: while one request is under way the next results gather, so that many small tasks cost few requests.
  test('are batched as they come', async ({ platform, start }) => {
    const ids = Array.from({ length: 200 }, () => platform.queue({ skill: 'work', input: { text: '' } }))
    await start(
      agentOf(
        async () => {
          await sleep(1)
          return { text: '' }
        },
        { slots: 50 },
      ),
    )
    await Promise.all(ids.map((id) => platform.ended(id)))
    const sizes = platform.received('completeTasks').map(({ body }) => (body as CompletionRequest).results.length)
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(200)
    expect(sizes.length).toBeLessThan(60)
    expect(Math.max(...sizes)).toBeGreaterThan(5)
  })

  test('one whose answer was lost is repeated until it is taken, and the task is done once', async ({
    platform,
    start,
  }) => {
    let runs = 0
    platform.cutReplies('completeTasks', 4)
    await start(agentOf(() => ({ text: String((runs += 1)) })))
    const id = platform.queue({ skill: 'work', input: { text: '' } })
    await platform.ended(id)
    await platform.until('the fifth try', () => platform.received('completeTasks').length === 5)
    const next = platform.queue({ skill: 'work', input: { text: '' } })
    expect((await platform.ended(next)).output).toEqual({ text: '2' })
    expect(platform.task(id).attempts.map(({ outcome }) => outcome)).toEqual(['completed'])
    expect(runs).toBe(2)
  })

  test('one that the platform does not take for a while is kept', async ({ platform, start }) => {
    platform.refuse('completeTasks', 'unavailable', 5)
    await start(agentOf(() => ({ text: 'kept' })))
    const task = await platform.ended(platform.queue({ skill: 'work', input: { text: '' } }))
    expect(task).toMatchObject({ state: 'completed', output: { text: 'kept' }, attempt: 1 })
  })

  test('a large batch is cut to what a request can hold', async ({ platform, start }) => {
    const big = 'x'.repeat(1_500_000)
    await start(agentOf(() => ({ text: big }), { slots: 4 }))
    const ids = Array.from({ length: 4 }, () => platform.queue({ skill: 'work', input: { text: '' } }))
    const tasks = await Promise.all(ids.map((id) => platform.ended(id)))
    expect(tasks.map(({ state }) => state)).toEqual(['completed', 'completed', 'completed', 'completed'])
  })

  test('an output that no request can hold fails the task for good', async ({ platform, start }) => {
    await start(agentOf(() => ({ text: 'x'.repeat(5_000_000) })))
    const task = await platform.ended(platform.queue({ skill: 'work', input: { text: '' } }))
    expect(task).toMatchObject({ state: 'failed', attempt: 1, error: { code: 'output_refused' } })
    expect(task.error?.message).toContain('body_too_large')
  })
})
