import { createScriptedModel, runTask } from '@hypercode/base-agent/testing'
import { expect, onTestFinished, test } from 'vitest'
import type { VerifyInput, VerifyOutput } from '../src/schemas.ts'
import { coder, realSandbox } from './support/coder.ts'
import type { Coder } from './support/coder.ts'
import { repository } from './support/repository.ts'

const PATCH =
  '--- a/add.js\n+++ b/add.js\n@@ -1 +1 @@\n-module.exports = (a, b) => a - b\n+module.exports = (a, b) => a + b\n'
const FILES = {
  'add.js': 'module.exports = (a, b) => a - b\n',
  'check.js': "if (require('./add.js')(2, 2) !== 4) throw new Error('2 and 2 are not 4')\n",
}

const silent = async (options: Parameters<typeof coder>[1] = {}): Promise<Coder> => {
  const scripted = await createScriptedModel({ script: [] })
  onTestFinished(() => scripted.close())
  return await coder(scripted, options)
}
const verify = async (agent: Coder, input: VerifyInput, patch = PATCH): Promise<VerifyOutput> => {
  const artifacts = [{ taskKey: 'edit', name: 'patch.diff', data: patch }]
  return (await runTask(agent, input, { skill: 'code.verify', artifacts })).output as VerifyOutput
}

test('the command runs on the patched files, and its end decides', async () => {
  const root = await repository(FILES)
  const sandbox = await realSandbox()
  const agent = await silent({ sandbox })
  const input = { task: 'edit', input: { root, instruction: 'fix add' }, output: {}, round: 1 }
  expect(await verify(agent, { ...input, command: ['node', 'check.js'] })).toMatchObject({ passed: true })
  const failed = await verify(agent, { ...input, command: ['node', '-e', "throw new Error('still wrong')"] })
  expect(failed).toMatchObject({ passed: false, reason: expect.stringMatching(/exit code 1[^]*still wrong/) })
  expect(sandbox.ran).toHaveLength(2)
})

test('a patch that does not apply did not pass, and nothing is run', async () => {
  const root = await repository(FILES)
  const sandbox = await realSandbox()
  const input = { command: ['node', 'check.js'], task: 'edit', input: { root } }
  expect(await verify(await silent({ sandbox }), input, PATCH.replace('a - b', 'a * b'))).toMatchObject({
    passed: false,
    reason: expect.stringContaining('does not apply'),
  })
  expect(sandbox.ran).toEqual([])
})

test('without a sandbox, and for programs that are not to be run, it is refused', async () => {
  const root = await repository(FILES)
  const input = { task: 'edit', input: { root } }
  await expect(verify(await silent(), { ...input, command: ['node', 'check.js'] })).rejects.toMatchObject({
    code: 'rejected',
    message: expect.stringContaining('no sandbox'),
  })
  const agent = await silent({ sandbox: await realSandbox() })
  await expect(verify(agent, { ...input, command: ['sh', '-c', 'true'] })).rejects.toMatchObject({ code: 'rejected' })
  const narrow = { ...input, input: { root, policy: { commands: ['npm test'] } }, command: ['node', 'check.js'] }
  await expect(verify(agent, narrow)).rejects.toMatchObject({ code: 'rejected' })
})
