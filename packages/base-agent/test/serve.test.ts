import { setTimeout as sleep } from 'node:timers/promises'
import { readFile } from 'node:fs/promises'
import { AgentCard } from '@hypercode/contracts'
import { Value } from '@sinclair/typebox/value'
import { describe, expect } from 'vitest'
import { test } from './setup.ts'
import type { AgentProcess } from './setup.ts'
import type { FakeControlPlane } from '@hypercode/base-agent/testing'

const addressOf = async (platform: FakeControlPlane, { lines }: AgentProcess): Promise<string> =>
  await platform.until(
    'the address',
    () => lines.find(({ msg }) => msg === 'serving')?.['address'] as string | undefined,
  )

const registration = (platform: FakeControlPlane) => platform.until('the registration', () => platform.instances()[0])

describe('the example', () => {
  test('is shorter than 25 lines, registers, works, and leaves on SIGTERM with exit code 0', async ({
    platform,
    run,
  }) => {
    const source = await readFile(new URL('../examples/greeter.ts', import.meta.url), 'utf8')
    expect(source.trim().split('\n').length).toBeLessThan(25)

    const agent = run('examples/greeter.ts')
    const instance = await registration(platform)
    expect(instance.card).toMatchObject({ name: 'greeter', slots: 4, skills: [{ id: 'greet' }] })
    const task = await platform.ended(platform.queue({ skill: 'greet', input: { name: 'Ada' } }))
    expect(task.output).toEqual({ greeting: 'Hello, Ada!' })
    agent.child.kill('SIGTERM')
    expect(await agent.ended).toEqual({ code: 0, signal: null })
    expect(instance.lifecycle).toBe('stopped')
    expect(agent.stderr()).toBe('')
    expect(agent.lines.every(({ level, msg }) => level === 'info' && msg !== '')).toBe(true)
  })

  test('answers health, metrics and its card, and nothing that changes state', async ({ platform, run }) => {
    const agent = run('examples/greeter.ts', { AGENT_SLOTS: '7' })
    await registration(platform)
    const address = await addressOf(platform, agent)
    const get = async (path: string): Promise<Response> => await fetch(`${address}${path}`)
    await platform.until('the first beat', () => platform.instances()[0]?.beats[0])
    await platform.ended(platform.queue({ skill: 'greet', input: { name: 'Ada' } }))

    expect((await get('/livez')).status).toBe(200)
    const ready = await get('/readyz')
    expect(await ready.json()).toMatchObject({ ready: true, service: 'greeter', checks: { platform: { ok: true } } })
    const metrics = await (await get('/metrics')).text()
    expect(metrics).toMatch(/hypercode_agent_attempts_total\{[^}]*outcome="completed"[^}]*\} 1/)
    expect(metrics).toMatch(/hypercode_agent_slots\{[^}]*\} 7/)
    const card: unknown = await (await get('/.well-known/agent-card.json')).json()
    expect(Value.Check(AgentCard, card)).toBe(true)
    expect((await fetch(`${address}/.well-known/agent-card.json`, { method: 'POST' })).status).toBe(405)

    platform.goAway()
    await platform.until('the doubt', () => agent.lines.some(({ msg }) => msg === 'lease lost'), 15_000)
    expect((await get('/readyz')).status).toBe(503)
    expect((await get('/livez')).status).toBe(200)
    platform.comeBack()
  })
})

describe('a drain by SIGTERM', () => {
  test('lets a short task finish', async ({ platform, run }) => {
    const agent = run('test/agents/sleeper.ts')
    await registration(platform)
    const id = platform.queue({ skill: 'sleep', input: { ms: 800 } })
    await platform.until('the attempt', () => platform.task(id).state === 'executing')
    agent.child.kill('SIGTERM')
    expect((await agent.ended).code).toBe(0)
    expect(platform.task(id).view()).toMatchObject({ state: 'completed', attempt: 1, output: { slept: true } })
  })

  test('hands back long ones after DRAIN_MS, and another agent finishes them', { timeout: 30_000 }, async ({
    platform,
    run,
  }) => {
    const agent = run('test/agents/sleeper.ts', { DRAIN_MS: '200', HYPERCODE_INSTANCE: 'one' })
    await registration(platform)
    const ids = [false, true].map((deaf) => platform.queue({ skill: 'sleep', input: { ms: 5_000, deaf } }))
    await platform.until('the attempts', () => ids.every((id) => platform.task(id).state === 'executing'))
    agent.child.kill('SIGTERM')
    await platform.until('the tasks to be back', () => ids.every((id) => platform.task(id).state === 'queued'), 4_000)
    expect((await agent.ended).code).toBe(0)
    run('test/agents/sleeper.ts', { HYPERCODE_INSTANCE: 'two' })
    const tasks = await Promise.all(ids.map((id) => platform.ended(id, 20_000)))
    expect(tasks.map(({ state, attempt }) => [state, attempt])).toEqual([
      ['completed', 2],
      ['completed', 2],
    ])
  })
})

describe('exit codes', () => {
  test('78 with every bad variable by name and without a value', async ({ run }) => {
    const agent = run('examples/greeter.ts', {
      HYPERCODE_CLIENT_SECRET: 'changethis-changethis-changethis',
      AGENT_SLOTS: 'many',
      OPENAI_API_KEY: 'sk-placeholder-key',
    })
    expect((await agent.ended).code).toBe(78)
    for (const name of ['HYPERCODE_CLIENT_SECRET', 'AGENT_SLOTS', 'OPENAI_API_KEY'])
      expect(agent.stderr()).toContain(name)
    expect(agent.stderr()).not.toContain('changethis-')
  })

  test('1 when the platform refuses the credentials, with the reason', async ({ run }) => {
    const agent = run('examples/greeter.ts', { HYPERCODE_CLIENT_ID: 'somebody-else' })
    expect((await agent.ended).code).toBe(1)
    expect(agent.lines.at(-1)).toMatchObject({
      level: 'fatal',
      msg: expect.stringContaining('client_invalid') as string,
    })
  })

  test('1 when it is fenced, with a clear line, while a deaf handler still runs', async ({ platform, run }) => {
    const agent = run('test/agents/sleeper.ts')
    await registration(platform)
    const id = platform.queue({ skill: 'sleep', input: { ms: 60_000, deaf: true }, maxAttempts: 1 })
    await platform.until('the attempt', () => platform.task(id).state === 'executing')
    platform.fence()
    expect((await agent.ended).code).toBe(1)
    expect(agent.lines.at(-1)?.msg).toContain('another process has registered')
    expect(platform.received('completeTasks')).toEqual([])
  })

  test('0 when it is told to stop before the platform is there', async ({ platform, run }) => {
    platform.goAway()
    const agent = run('examples/greeter.ts')
    await addressOf(platform, agent)
    await sleep(100)
    agent.child.kill('SIGTERM')
    expect((await agent.ended).code).toBe(0)
  })
})

test('a platform that starts later is waited for', async ({ platform, run }) => {
  platform.goAway()
  const agent = run('examples/greeter.ts')
  await platform.until('a try', () => agent.lines.some(({ msg }) => msg.startsWith('could not register')))
  platform.comeBack()
  await registration(platform)
  expect((await platform.ended(platform.queue({ skill: 'greet', input: { name: 'Ada' } }))).state).toBe('completed')
})
