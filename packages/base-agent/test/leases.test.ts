import { setTimeout as sleep } from 'node:timers/promises'
import type { AttemptStopped } from '@hypercode/base-agent'
import type { Heartbeat } from '@hypercode/contracts'
import { describe, expect } from 'vitest'
import { agentOf, aborted, recordingLogger, test } from './setup.ts'

const reasonOf = (signal: AbortSignal): string => (signal.reason as AttemptStopped).reason

describe('heartbeats', () => {
  test.override({ timing: { leaseMs: 4_000, heartbeatMs: 200 } })

  test('come in time, numbered from 1, with the attempts in flight', async ({ platform, start }) => {
    const beatsOf = (taskId: string): number =>
      platform.instances()[0]?.beats.filter(({ tasks }) => tasks?.some((task) => task.taskId === taskId)).length ?? 0
    const agent = agentOf(async (ctx) => {
      await platform.until('four beats with the attempt', () => beatsOf(ctx.taskId) >= 4)
      return { text: '' }
    })
    await start(agent)
    await platform.ended(platform.queue({ skill: 'work', input: { text: '' } }))
    const [instance] = platform.instances()
    await platform.until('a beat without attempts', () => instance?.beats.at(-1)?.tasks?.length === 0)
    const beats = instance?.beats ?? []
    expect(beats.map(({ seq }) => seq)).toEqual(beats.map((_beat, index) => index + 1))
    expect(beats.every(({ incarnation }) => incarnation === 1)).toBe(true)
    const gaps = beats.slice(1).map(({ atMs }, index) => atMs - (beats[index]?.atMs ?? atMs))
    expect(Math.max(...gaps)).toBeLessThan(2_000)
  })

  test('a beat whose answer was lost is followed by another one soon', async ({ platform, start }) => {
    const running = await start(agentOf(() => ({ text: '' })))
    platform.cutReplies('heartbeatAgent', 3)
    const seen = platform.received('heartbeatAgent').length
    await platform.until('five more beats', () => platform.received('heartbeatAgent').length >= seen + 5)
    expect(running.incarnation).toBe(1)
    const numbers = platform.received('heartbeatAgent').map(({ body }) => (body as Heartbeat).seq)
    expect(new Set(numbers).size).toBe(numbers.length)
  })
})

// Goal: a process that was frozen past its lease does nothing more for the attempts that it had, and then works again.
describe('a frozen process', () => {
  test.override({ timing: { leaseMs: 2_500, heartbeatMs: 300 } })

  test('writes nothing for its old attempt when it wakes up', { timeout: 30_000 }, async ({ platform, run }) => {
    const { child, lines } = run('test/agents/stepper.ts')
    await platform.until('the registration', () => platform.instances()[0])
    const id = platform.queue({ skill: 'walk', input: { steps: 40 } })
    const task = platform.task(id)
    await platform.until('some steps', () => task.steps.length > 3)
    child.kill('SIGSTOP')
    await platform.until('the end of the lease', () => task.state === 'queued')
    const before = { steps: task.steps.length, calls: platform.received('recordStep').length }
    child.kill('SIGCONT')
    await platform.until('the second attempt', () => task.attempt === 2)
    const [instance] = platform.instances()
    expect(instance?.incarnation).toBe(2)
    expect(lines.find(({ msg }) => msg === 'lease lost')).toBeDefined()
    // The one call that was on its way when the process froze may arrive, and is refused.
    const ofOldAttempt = platform
      .received('recordStep')
      .filter(({ body }) => (body as { attempt: number }).attempt === 1)
    expect(ofOldAttempt.length).toBeLessThanOrEqual(before.calls + 1)
    expect(await platform.ended(id)).toMatchObject({ state: 'completed', output: { steps: 40 } })
    expect(task.steps.length).toBe(40)
    expect(task.attempts.map(({ outcome }) => outcome)).toEqual(['lease_lost', 'completed'])
  })
})

// Goal: a handler that never yields for seconds, far beyond the lease, keeps its lease and its task.
describe('a blocked event loop', () => {
  test.override({ timing: { leaseMs: 2_500, heartbeatMs: 300 } })

  test('does not stop the beats, which say how long it is blocked', { timeout: 30_000 }, async ({ platform, run }) => {
    const { lines } = run('test/agents/blocker.ts')
    await platform.until('the registration', () => platform.instances()[0])
    const id = platform.queue({ skill: 'block', input: { ms: 5_000 } })
    const task = await platform.ended(id, 20_000)
    expect(task).toMatchObject({ state: 'completed', attempt: 1 })
    expect((task.output as { blockedMs: number }).blockedMs).toBeGreaterThanOrEqual(5_000)
    const beats = platform.instances()[0]?.beats ?? []
    const during = beats.filter(({ tasks }) => tasks?.some(({ taskId }) => taskId === id))
    expect(during.length).toBeGreaterThan(4)
    expect(Math.max(...during.map(({ loopLagMs }) => loopLagMs ?? 0))).toBeGreaterThan(2_500)
    await platform.until('a beat of a loop that turns again', () => (beats.at(-1)?.loopLagMs ?? 1_000) < 500)
    expect(lines.some(({ msg }) => msg.startsWith('lease'))).toBe(false)
  })
})

describe('being fenced', () => {
  test.override({ timing: { leaseMs: 3_000, heartbeatMs: 200 } })

  test('by a beat: every signal is aborted, nothing more is written, the agent ends', async ({ platform, start }) => {
    const reasons: string[] = []
    const agent = agentOf(
      async (ctx) => {
        await aborted(ctx.signal)
        reasons.push(reasonOf(ctx.signal))
        await expect(ctx.step('late', () => 1)).rejects.toThrow('fenced')
        await expect(ctx.progress(1)).rejects.toThrow('fenced')
        await expect(ctx.artifact('late', 'x')).rejects.toThrow('fenced')
        return { text: 'late' }
      },
      { slots: 2 },
    )
    const { logger, lines } = recordingLogger()
    const running = await start(agent, { logger })
    const ids = [1, 2].map(() => platform.queue({ skill: 'work', input: { text: '' }, maxAttempts: 1 }))
    await platform.until('the attempts', () => ids.every((id) => platform.task(id).state === 'executing'))
    platform.fence()
    expect(await running.ended).toBe('fenced')
    await platform.until('both to stop', () => reasons.length === 2)
    expect(reasons).toEqual(['fenced', 'fenced'])
    expect(running.connected).toBe(false)
    const before = platform.received().length
    await sleep(600)
    expect(platform.received().length).toBe(before)
    for (const operation of ['recordStep', 'putArtifact', 'reportProgress', 'completeTasks'] as const)
      expect(platform.received(operation)).toEqual([])
    expect(lines.filter(({ msg }) => msg === 'lease fenced')).toHaveLength(1)
  })

  test('by a write: the first refused one is the last', async ({ platform, start }) => {
    const agent = agentOf(async (ctx) => {
      platform.fence()
      await ctx.step('a', () => 1)
      return { text: '' }
    })
    const running = await start(agent)
    platform.queue({ skill: 'work', input: { text: '' }, maxAttempts: 1 })
    expect(await running.ended).toBe('fenced')
    expect(platform.received('completeTasks')).toEqual([])
  })

  test('by a second process with the same identity: the first one ends, the second goes on', async ({
    platform,
    start,
  }) => {
    const agent = agentOf(() => ({ text: '' }))
    const first = await start(agent)
    const second = await start(agent)
    expect(await first.ended).toBe('fenced')
    expect([second.instanceId, second.incarnation]).toEqual([first.instanceId, 2])
    expect((await platform.ended(platform.queue({ skill: 'work', input: { text: '' } }))).state).toBe('completed')
  })

  test('two processes with names of their own live side by side', async ({ start }) => {
    const agent = agentOf(() => ({ text: '' }))
    const [first, second] = [await start(agent, { instance: 'a' }), await start(agent, { instance: 'b' })]
    expect(first.instanceId).not.toBe(second.instanceId)
    await sleep(500)
    expect([first.connected, second.connected]).toEqual([true, true])
  })
})

describe('a platform that is away for longer than the lease', () => {
  test.override({ timing: { leaseMs: 2_000, heartbeatMs: 200 } })

  // Goal: no answer is no reason to stop before the lease is over, and then everything stops before the platform thinks so.
  test('finds the attempts stopped before its end, and the agent comes back', async ({ platform, start }) => {
    let stoppedMs = 0
    const reasons: string[] = []
    const agent = agentOf(async (ctx) => {
      if (ctx.attempt > 1) return { text: 'second' }
      await aborted(ctx.signal)
      stoppedMs = performance.now()
      reasons.push(reasonOf(ctx.signal))
      return { text: 'first, too late' }
    })
    const running = await start(agent)
    const id = platform.queue({ skill: 'work', input: { text: '' } })
    await platform.until('the attempt', () => platform.task(id).state === 'executing')
    platform.goAway()
    await platform.until('the end of the lease', () => reasons.length > 0)
    expect(reasons).toEqual(['lease_lost'])
    expect(stoppedMs).toBeLessThan(platform.instances()[0]?.leaseEndsMs ?? 0)
    await platform.until('the lease at the platform', () => platform.task(id).state === 'queued')
    platform.comeBack()
    const task = await platform.ended(id)
    expect(task).toMatchObject({ state: 'completed', attempt: 2, output: { text: 'second' } })
    expect(running.incarnation).toBe(2)
    await platform.until('the connection', () => running.connected)
  })
})

describe('a platform that is away for less than the lease', () => {
  test.override({ timing: { leaseMs: 6_000, heartbeatMs: 200 } })

  test('finds the attempt going on, and takes its result', async ({ platform, start }) => {
    const release = Promise.withResolvers<void>()
    const agent = agentOf(async () => {
      await release.promise
      return { text: 'in time' }
    })
    const running = await start(agent)
    const id = platform.queue({ skill: 'work', input: { text: '' } })
    await platform.until('the attempt', () => platform.task(id).state === 'executing')
    platform.goAway()
    release.resolve()
    await sleep(300)
    platform.comeBack()
    expect(await platform.ended(id)).toMatchObject({ state: 'completed', attempt: 1, output: { text: 'in time' } })
    expect(running.incarnation).toBe(1)
  })

  test('an attempt that the platform has given to another is stopped alone', async ({ platform, start }) => {
    const reasons: string[] = []
    const agent = agentOf(
      async (ctx, { text }) => {
        if (text === 'stays') {
          await platform.until('the other one to stop', () => reasons.length > 0)
          return { text }
        }
        await aborted(ctx.signal)
        reasons.push(reasonOf(ctx.signal))
        return { text }
      },
      { slots: 2 },
    )
    const running = await start(agent)
    const [lost = '', stays = ''] = ['lost', 'stays'].map((text) =>
      platform.queue({ skill: 'work', input: { text }, maxAttempts: 1 }),
    )
    await platform.until('the attempts', () => [lost, stays].every((id) => platform.task(id).state === 'executing'))
    Object.assign(platform.task(lost), { lease: undefined, state: 'failed' })
    expect((await platform.ended(stays)).state).toBe('completed')
    expect(reasons).toEqual(['lease_lost'])
    expect(running.incarnation).toBe(1)
  })
})
