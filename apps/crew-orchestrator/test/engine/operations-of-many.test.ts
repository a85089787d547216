import { describe, expect } from 'vitest'
import { stillTest as test } from '../harness.ts'
import { begin, carriedOut, manyMissions, statesOf } from './operating.ts'

describe('of a great many', () => {
  // Goal: ten thousand targets take a minute on a machine of their own, and no more memory than a hundred do.
  // Method: a busy machine takes longer, so the bound is on processor time.
  test('ten thousand missions are canceled', { timeout: 600_000 }, async ({ stage }) => {
    await manyMissions(stage, 'one', 10_000)
    const operation = await begin(stage, 'cancelMission', { crew: 'one' })
    expect(operation.matched).toBe(10_000)
    const before = process.memoryUsage.rss()
    const began = process.cpuUsage()
    const ended = await carriedOut(stage, operation, 540_000)
    const { user, system } = process.cpuUsage(began)
    expect(ended).toMatchObject({ state: 'completed', done: 10_000, skipped: 0, failed: 0 })
    expect(await statesOf(stage)).toEqual({ canceled: 10_000 })
    expect((user + system) / 1000).toBeLessThan(60_000)
    expect(process.memoryUsage.rss() - before).toBeLessThan(256 * 1024 ** 2)
  })
})
