import { Type } from '@sinclair/typebox'
import { TerminalError, defineAgent } from '@hypercode/base-agent'
import { runTask } from '@hypercode/base-agent/testing'
import { describe, expect, test } from 'vitest'

const runs: string[] = []
const writer = defineAgent({
  name: 'writer',
  version: '1.0.0',
  skills: [{ id: 'write' }, { id: 'read' }],
  input: Type.Object({ topic: Type.String() }),
  output: Type.Object({ text: Type.String() }),
  async onTask(ctx, { topic }) {
    if (ctx.skill === 'read') return { text: (await ctx.readArtifact('draft', 'a.md')).text() }
    const plan = await ctx.step('plan', () => {
      runs.push(topic)
      return `plan of ${topic}`
    })
    await ctx.progress(0.5, 'planned')
    await ctx.artifact('draft.md', plan)
    if (topic === '') throw new TerminalError('no topic')
    return { text: `${plan} after ${ctx.previousError?.code ?? 'nothing'} in attempt ${ctx.attempt}` }
  },
})

describe('runTask', () => {
  test('gives back the output and what was told on the way', async () => {
    const run = await runTask(writer, { topic: 'tea' })
    expect(run.output).toEqual({ text: 'plan of tea after nothing in attempt 1' })
    expect(run.steps).toEqual({ plan: 'plan of tea' })
    expect(run.progress).toEqual([{ fraction: 0.5, message: 'planned' }])
    expect(run.artifacts.get('draft.md')?.bytes.toString()).toBe('plan of tea')
  })

  test('takes steps of an earlier attempt, which do not run', async () => {
    runs.length = 0
    const previousError = { code: 'output_invalid', message: '' }
    const run = await runTask(writer, { topic: 'tea' }, { steps: { plan: 'old plan' }, attempt: 2, previousError })
    expect(run.output.text).toBe('old plan after output_invalid in attempt 2')
    expect([runs, run.steps]).toEqual([[], {}])
  })

  test('reads artifacts of other tasks', async () => {
    const artifacts = [{ taskKey: 'draft', name: 'a.md', data: 'hello' }]
    expect((await runTask(writer, { topic: '' }, { skill: 'read', artifacts })).output).toEqual({ text: 'hello' })
    await expect(runTask(writer, { topic: '' }, { skill: 'read' })).rejects.toMatchObject({ code: 'artifact_missing' })
  })

  test('throws what fails the attempt', async () => {
    await expect(runTask(writer, { topic: '' })).rejects.toThrow('no topic')
    await expect(runTask(writer, { topic: 1 as unknown as string })).rejects.toMatchObject({ code: 'input_invalid' })
    await expect(runTask(writer, { topic: 'x' }, { skill: 'sing' })).rejects.toMatchObject({ code: 'skill_unknown' })
    await expect(runTask(writer, { topic: 'x' }, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      reason: 'canceled',
    })
  })
})
