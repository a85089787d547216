import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { createFakeControlPlane } from '@hypercode/base-agent/testing'
import type { FakeControlPlane, FakeTask } from '@hypercode/base-agent/testing'
import { generateSecret } from '@hypercode/config'
import { expect, onTestFinished, test } from 'vitest'
import { bubblewrapPath, byTurn, call, model } from './support/coder.ts'
import { put, repository, tempFolder } from './support/repository.ts'

const KEY = `sk-${generateSecret()}`
const FILES = {
  'count.txt': '0\n',
  'count.cjs':
    "const fs = require('fs')\nfs.writeFileSync('count.txt', `${Number(fs.readFileSync('count.txt', 'utf8')) + 1}\\n`)\n",
}

async function platform(): Promise<FakeControlPlane> {
  const fake = await createFakeControlPlane({ leaseMs: 5000 })
  onTestFinished(() => fake.close())
  return fake
}

interface Process {
  readonly child: ChildProcess
  readonly output: () => string
  readonly ended: Promise<unknown[]>
}

/** server.ts as a process of its own. */
function start(env: Readonly<Record<string, string>>): Process {
  const file = fileURLToPath(new URL('../src/server.ts', import.meta.url))
  const child = spawn(process.execPath, ['--conditions=@hypercode/source', file], {
    env: { PATH: process.env['PATH'], LOG_LEVEL: 'debug', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const ended = once(child, 'exit')
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await ended
  })
  return { child, output: () => output, ended }
}

const patchOf = (task: FakeTask): string => task.artifacts.get('patch.diff')?.bytes.toString() ?? ''

// Goal: a coder that is killed in the middle leaves a task that another process ends, from the snapshot and the journal.
// Method: kill -9 while a command runs that has to run again, after one that must not; the repository changes meanwhile.
test('killed in the middle of a command, and gone on by another process', { timeout: 150_000 }, async () => {
  const fake = await platform()
  const root = await repository(FILES)
  const scripted = await model(
    byTurn([
      call('run_command', { argv: ['node', 'count.cjs'] }),
      call('run_command', { argv: ['node', '-e', 'setTimeout(() => require("./count.cjs"), 1500)'] }),
      { text: 'Counted to two.', usage: { inputTokens: 10, outputTokens: 5 } },
    ]),
  )
  const env = {
    ...fake.env,
    SANDBOX_BWRAP: await bubblewrapPath(),
    CODER_WORK_DIR: await tempFolder(),
    MODEL_BASE_URL: scripted.baseUrl,
    MODEL_NAME: 'scripted',
    MODEL_INPUT_USD_PER_MTOK: '1',
    MODEL_OUTPUT_USD_PER_MTOK: '1',
    OPENAI_API_KEY: KEY,
  }
  const first = start(env)
  const id = fake.queue({ skill: 'code.edit', input: { root, instruction: 'count' } })
  const task = fake.task(id)
  await expect
    .poll(() => `${task.steps.map(({ name }) => name).join()}\n${first.output()}`, { timeout: 60_000 })
    .toMatch(/^[^\n]*turn-2/)
  first.child.kill('SIGKILL')
  await first.ended
  await put(root, 'count.txt', '100\n')
  const second = start(env)
  const ended = await fake.ended(id, 60_000)
  expect(ended, second.output()).toMatchObject({
    state: 'completed',
    attempt: 2,
    output: { summary: 'Counted to two.', files: [{ path: 'count.txt' }] },
  })
  expect(patchOf(task)).toContain('-0\n+2\n')
  expect(task.steps.map(({ name }) => name)).toEqual([
    'snapshot',
    'turn-1',
    'turn-1/call-1 run_command',
    'turn-2',
    'turn-2/call-1 run_command',
    'turn-3',
  ])
  expect(scripted.requests).toHaveLength(3)
  expect([...task.usage.keys()]).toEqual(['turn-1', 'turn-2', 'turn-3'])
  expect(task.said.map(({ text }) => text).join('')).toBe('Counted to two.')
  expect(scripted.requests[0]?.headers['authorization']).toBe(`Bearer ${KEY}`)
  expect(first.output() + second.output()).not.toContain(KEY)
  second.child.kill('SIGTERM')
  expect(await second.ended).toEqual([0, null])
})

test('without a model it serves, and rejects what it is asked', { timeout: 120_000 }, async () => {
  const fake = await platform()
  const root = await repository(FILES)
  const started = start({ ...fake.env, CODER_WORK_DIR: await tempFolder(), MODEL_NAME: 'alone' })
  const instance = await fake.until('the registration', () => fake.instances()[0], 60_000)
  expect(instance.card.skills.map(({ id }) => id)).toEqual([
    'code.edit',
    'code.review',
    'code.explain',
    'code.merge',
    'code.verify',
  ])
  const id = fake.queue({ skill: 'code.explain', input: { root, question: 'what?' } })
  const ended = await fake.ended(id, 60_000)
  expect(ended, started.output()).toMatchObject({
    state: 'rejected',
    error: { message: expect.stringContaining('no model configured: set MODEL_BASE_URL and MODEL_NAME') },
  })
  expect(fake.task(id).attempts).toHaveLength(1)
})

test('a wrong setting is refused with all that is wrong, and without values', { timeout: 120_000 }, async () => {
  const started = start({ MODEL_BASE_URL: 'ftp://model', CODER_MAX_TURNS: '0', OPENAI_API_KEY: 'changethis' })
  expect(await started.ended).toEqual([78, null])
  for (const name of ['MODEL_BASE_URL', 'CODER_MAX_TURNS', 'OPENAI_API_KEY']) expect(started.output()).toContain(name)
  expect(started.output()).not.toContain('changethis')
  const priced = start({ MODEL_INPUT_USD_PER_MTOK: '1' })
  expect(await priced.ended).toEqual([78, null])
  expect(priced.output()).toContain('MODEL_OUTPUT_USD_PER_MTOK')
})
