import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { createFakeControlPlane } from '@hypercode/base-agent/testing'
import { expect, test } from 'vitest'
import { auditor } from '../src/agent.ts'
import { HYPERCODE_V2 } from './support/hypercode-v2.ts'
import { withRepository } from './support/repository.ts'

// Goal: the process registers with all of its skills, works, and leaves in order.
// Method: server.ts as a process of its own, on a control plane behind real HTTP.
test('the agent as a process', { timeout: 60_000 }, async () => {
  const platform = await createFakeControlPlane()
  const child = spawn(
    process.execPath,
    ['--conditions=@hypercode/source', fileURLToPath(new URL('../src/server.ts', import.meta.url))],
    {
      env: { PATH: process.env['PATH'], ...platform.env, LOG_LEVEL: 'warn' },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  const output: string[] = []
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk.toString('utf8')))
  const ended = once(child, 'exit')
  try {
    const died = ended.then(([code]) => {
      throw new Error(`the agent ended with ${code}: ${output.join('')}`)
    })
    const instance = await Promise.race([
      died,
      platform.until('the registration', () => platform.instances()[0], 30_000),
    ])
    expect(instance.card).toMatchObject({ name: 'auditor', slots: 2 })
    expect(instance.card.skills.map(({ id }) => id)).toEqual(auditor.card.skills.map(({ id }) => id))
    await withRepository(HYPERCODE_V2, async (root) => {
      const task = await platform.ended(platform.queue({ skill: 'audit.error-handling', input: { root } }), 20_000)
      expect(task).toMatchObject({ state: 'completed', output: { counts: { P0: 2, P1: 0, P2: 0 } } })
    })
    child.kill('SIGTERM')
    expect(await ended).toEqual([0, null])
    expect(output.join('')).toBe('')
  } finally {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await ended
    await platform.close()
  }
})
