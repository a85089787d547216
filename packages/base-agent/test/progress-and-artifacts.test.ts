import { setTimeout as sleep } from 'node:timers/promises'
import { ARTIFACT_MAX_BYTES } from '@hypercode/contracts'
import { describe, expect } from 'vitest'
import { agentOf, test } from './setup.ts'

describe('progress', () => {
  test('is sent about twice a second, and the last point always', async ({ platform, start }) => {
    const agent = agentOf(async (ctx) => {
      for (let n = 1; n <= 120; n += 1) {
        await ctx.progress(n / 121, `step ${n}`)
        await sleep(10)
      }
      await ctx.progress(1, 'done')
      return { text: '' }
    })
    await start(agent)
    const { id } = await platform.ended(platform.queue({ skill: 'work', input: { text: '' } }))
    const { progress } = platform.task(id)
    expect(progress.at(-1)).toMatchObject({ fraction: 1, message: 'done' })
    const tookMs = (progress.at(-1)?.atMs ?? 0) - (progress[0]?.atMs ?? 0)
    expect(progress.length).toBeLessThanOrEqual(Math.ceil(tookMs / 500) + 2)
    expect(progress.length).toBeGreaterThanOrEqual(3)
  })

  test('never fails the task, and the last point is tried again', async ({ platform, start }) => {
    platform.refuse('reportProgress', 'unavailable', 2)
    await start(
      agentOf(async (ctx) => {
        await ctx.progress(Number.NaN, 'x'.repeat(2_000))
        await ctx.progress(7)
        return { text: '' }
      }),
    )
    const task = await platform.ended(platform.queue({ skill: 'work', input: { text: '' } }))
    expect(task.state).toBe('completed')
    expect(platform.task(task.id).progress.at(-1)).toMatchObject({ fraction: 1 })
  })
})

describe('artifacts', () => {
  test('text, bytes and objects are stored with their media types and read by another task', async ({
    platform,
    start,
  }) => {
    const agent = agentOf(async (ctx, { text }) => {
      if (text === 'write') {
        await ctx.artifact('patch.diff', '--- a')
        await ctx.artifact('report.json', { score: 7, at: new Date(0) })
        await ctx.artifact('data.bin', new Uint8Array([1, 2, 3]).subarray(1))
        const { sizeBytes } = await ctx.artifact('patch.diff', '--- ä', 'text/x-diff')
        return { text: String(sizeBytes) }
      }
      const patch = await ctx.readArtifact('writer', 'patch.diff')
      const report = await ctx.readArtifact('writer', 'report.json')
      const data = await ctx.readArtifact('writer', 'data.bin')
      const all = await ctx.tasks.artifacts()
      return { text: JSON.stringify([patch.text(), patch.mediaType, report.json(), [...data.bytes], all.length]) }
    })
    await start(agent)
    const missionId = '01a20000-0000-7000-8000-000000000001'
    const writer = await platform.ended(
      platform.queue({ skill: 'work', key: 'writer', missionId, input: { text: 'write' } }),
    )
    expect(writer.output).toEqual({ text: '6' })
    const reader = await platform.ended(
      platform.queue({ skill: 'work', key: 'reader', missionId, input: { text: 'read' } }),
    )
    expect(JSON.parse((reader.output as { text: string }).text)).toEqual([
      '--- ä',
      'text/x-diff',
      { score: 7, at: '1970-01-01T00:00:00.000Z' },
      [2, 3],
      3,
    ])
  })

  test.for([
    ['artifact_missing', 'missing'],
    ['artifact_too_large', 'large'],
    ['artifact_invalid', '../name'],
  ])('%s is a mistake that no retry can help', async ([code, text], { platform, start }) => {
    const agent = agentOf(async (ctx) => {
      if (text === 'missing') await ctx.readArtifact('nobody', 'x')
      else if (text === 'large') await ctx.artifact('x', Buffer.alloc(ARTIFACT_MAX_BYTES + 1))
      else await ctx.artifact(text ?? '', 'x')
      return { text: '' }
    })
    await start(agent)
    const task = await platform.ended(platform.queue({ skill: 'work', input: { text: '' } }))
    expect(task).toMatchObject({ state: 'failed', attempt: 1, error: { code } })
  })

  test('a store whose answer was lost is repeated', async ({ platform, start }) => {
    platform.cutReplies('putArtifact', 2)
    await start(
      agentOf(async (ctx) => {
        await ctx.artifact('a.txt', 'a')
        return { text: '' }
      }),
    )
    const task = await platform.ended(platform.queue({ skill: 'work', input: { text: '' } }))
    expect(task).toMatchObject({ state: 'completed', attempt: 1 })
    expect(platform.task(task.id).artifacts.get('a.txt')?.bytes.toString()).toBe('a')
  })
})
