import { runTask } from '@hypercode/base-agent/testing'
import { expect } from 'vitest'
import { agentOf, test } from './setup.ts'

/** Plans two tasks, and answers what came of them. */
const manager = agentOf(async (ctx, { text }) => {
  if (text !== 'lead') return { text: `${text}, done` }
  const results = await ctx.plan('parts', [
    { id: 'left', member: 'work', input: { text: 'left' } },
    { id: 'right', member: 'work', input: { text: 'right' } },
  ])
  const same = ctx.results().length === results.length
  return {
    text: results.map(({ key, output }) => `${key}: ${(output as { text: string }).text}`).join('; ') + String(same),
  }
})

test('a manager plans tasks, ends its attempt, and goes on with what came of them', async ({ platform, start }) => {
  // One slot is enough: who waits for what it has planned holds none.
  await start(manager, { slots: 1 })
  const id = platform.queue({ skill: 'work', input: { text: 'lead' } })
  const task = await platform.ended(id)
  expect(task).toMatchObject({ state: 'completed', output: { text: 'left: left, done; right: right, donetrue' } })
  expect(platform.task(id).attempts.map(({ outcome }) => outcome)).toEqual(['waiting', 'completed'])
})

test('runTask ends where a plan has no answer, and goes on where it has one', async () => {
  await expect(runTask(manager, { text: 'lead' })).rejects.toMatchObject({ reason: 'suspended' })
  const planned = [{ key: 'left', state: 'completed', output: { text: 'l' } }]
  const run = await runTask(manager, { text: 'lead' }, { waits: { parts: { timedOut: false, payload: { planned } } } })
  expect(run.output).toEqual({ text: 'left: ltrue' })
})
