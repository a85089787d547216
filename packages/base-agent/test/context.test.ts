import { TerminalError } from '@hypercode/base-agent'
import { runTask } from '@hypercode/base-agent/testing'
import { expect } from 'vitest'
import { agentOf, test } from './setup.ts'

/** Adds one to a number that tasks share, as often as it takes. */
const counter = agentOf(async (ctx) => {
  for (;;) {
    const before = await ctx.context.get('count')
    try {
      const value = Number(before?.value ?? 0) + 1
      await ctx.context.set('count', value, { ifVersion: before?.version ?? 0 })
      return { text: String(value) }
    } catch (error) {
      if (!(error instanceof TerminalError) || error.code !== 'version_mismatch') throw error
    }
  }
})

test('tasks of a mission count together, and nothing that one of them wrote is lost', async ({ platform, start }) => {
  await start(counter, { slots: 8 })
  const missionId = '01a20000-0000-7000-8000-000000000001'
  const ids = Array.from({ length: 8 }, () => platform.queue({ skill: 'work', input: { text: '' }, missionId }))
  const ended = await Promise.all(ids.map(async (id) => await platform.ended(id)))
  expect(ended.map(({ output }) => Number((output as { text: string }).text)).toSorted((a, b) => a - b)).toEqual([
    1, 2, 3, 4, 5, 6, 7, 8,
  ])
})

test('runTask has them in memory', async () => {
  const run = await runTask(counter, { text: '' }, { context: { count: 41 } })
  expect(run.output).toEqual({ text: '42' })
  expect(run.context.get('count')).toEqual({ value: 42, version: 2 })
})
