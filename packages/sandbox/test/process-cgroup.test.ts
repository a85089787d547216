import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'
import { limitProcesses } from '../src/process-cgroup.ts'
import { processesWith, until } from './helpers.ts'

// Goal: root, whom RLIMIT_NPROC does not bind, is held to a number of processes by the kernel where that can be.
// Method: a shell that waits is put into a group for ten, and then starts thirty.
test('a group of processes has a limit of the kernel', async () => {
  const child = spawn('/bin/sh', ['-c', 'read go; for i in $(seq 30); do sleep 12.3456 & done; echo all'], {
    ...{ stdio: ['pipe', 'pipe', 'ignore'], detached: true },
  })
  const pid = child.pid ?? 0
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const group = limitProcesses(pid, 10)
  onTestFinished(async () => {
    process.kill(-pid, 'SIGKILL')
    await until(() => processesWith('12.3456').length === 0)
    group?.remove()
  })
  child.stdin.end('go\n')
  await once(child, 'exit')
  expect(output).toBe(group === undefined ? 'all\n' : '')
  if (process.getuid?.() !== 0) expect(group).toBeUndefined()
})
