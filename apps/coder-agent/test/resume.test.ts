import type { ModelTurn, TaskRun } from '@hypercode/base-agent/testing'
import { expect, test } from 'vitest'
import type { EditInput, EditOutput } from '../src/schemas.ts'
import { byTurn, call, coder, model, realSandbox, runEdit } from './support/coder.ts'
import { put, repository } from './support/repository.ts'

type Run = TaskRun<EditOutput>

const FILES = {
  'package.json': '{"type":"module"}\n',
  '.gitignore': 'cache/\n',
  'count.txt': '0\n',
  'latin.txt': Buffer.from([0xe9, 0x0a]),
  // Each run counts in a file: one that is run twice, or not replayed, leaves another number.
  'count.js':
    "import fs from 'node:fs'\nfs.writeFileSync('count.txt', `${Number(fs.readFileSync('count.txt', 'utf8')) + 1}\\n`)\n" +
    "fs.appendFileSync('latin.txt', Buffer.from([0xe8, 0x0a]))\nfs.mkdirSync('cache', { recursive: true })\nfs.writeFileSync('cache/x', 'ignored')\n",
}

const TURNS: readonly ModelTurn[] = [
  { text: 'I count.', ...call('run_command', { argv: ['node', 'count.js', '1'] }) },
  {
    toolCalls: [
      { name: 'write_file', input: { path: 'new/a.txt', content: 'a\n' } },
      { name: 'run_command', input: { argv: ['node', 'count.js', '2'] } },
      { name: 'read_file', input: { path: 'count.txt' } },
    ],
  },
  call('apply_patch', { patch: '--- a/count.txt\n+++ b/count.txt\n@@ -1 +1 @@\n-2\n+20\n' }),
  // Larger than the journal takes in one step: an artifact of the task.
  call('run_command', {
    argv: ['node', '-e', "require('fs').writeFileSync('large.txt', 'line of text\\n'.repeat(20000))"],
  }),
  call('run_command', { argv: ['node', 'count.js', '3'] }),
  { text: 'Counted to 21.' },
]

const patchOf = (run: Run): string => run.artifacts.get('patch.diff')?.bytes.toString('latin1') ?? ''

// Goal: wherever a coder is killed, another one on another machine ends with the same patch and repeats no finished command.
// Method: one task undisturbed; then for every step the journal up to it, a coder with an empty work folder, and the same model.
test('killed after any step, the task ends the same and no finished command runs twice', {
  timeout: 180_000,
}, async () => {
  const root = await repository(FILES)
  const scripted = await model(byTurn(TURNS))
  const input: EditInput = { root, instruction: 'count' }
  const sandbox = await realSandbox()
  const whole: Run = await runEdit(await coder(scripted, { sandbox }), input)
  const commands = [...sandbox.ran]
  expect(commands).toHaveLength(4)
  expect(patchOf(whole)).toContain('+21\n')
  const steps = Object.entries(whole.steps)
  expect(steps.map(([name]) => name)).toEqual([
    'snapshot',
    'turn-1',
    'turn-1/call-1 run_command',
    'turn-2',
    'turn-2/call-1 write_file',
    'turn-2/call-2 run_command',
    'turn-2/call-3 read_file',
    'turn-3',
    'turn-3/call-1 apply_patch',
    'turn-4',
    'turn-4/call-1 run_command',
    'turn-5',
    'turn-5/call-1 run_command',
    'turn-6',
  ])
  expect([...whole.artifacts.keys()]).toContain('change-turn-4-call-1-run-command.diff')
  const stored = [...whole.artifacts].map(([name, { bytes }]) => ({ taskKey: 'task', name, data: bytes }))

  for (let killedAfter = 0; killedAfter <= steps.length; killedAfter += 1) {
    sandbox.ran.length = 0
    const asked = scripted.requests.length
    const recorded = steps.slice(0, killedAfter)
    const rest: Run = await runEdit(await coder(scripted, { sandbox }), input, {
      steps: Object.fromEntries(recorded),
      attempt: 2,
      artifacts: stored.filter(({ name }) => name.startsWith('change-')),
    })
    const where = `killed after ${recorded.at(-1)?.[0] ?? 'nothing'}`
    const finished = recorded.filter(([name]) => name.endsWith('run_command')).length
    expect(patchOf(rest), where).toBe(patchOf(whole))
    expect([...commands.slice(0, finished), ...sandbox.ran], where).toEqual(commands)
    const turns = recorded.filter(([name]) => /^turn-\d+$/.test(name)).length
    expect(scripted.requests.length - asked, where).toBe(TURNS.length - turns)
    expect(rest.usage, where).toEqual(whole.usage)
    expect(rest.output, where).toMatchObject({
      summary: 'Counted to 21.',
      files: whole.output.files,
      commands: whole.output.commands.map(({ command }) => ({ command, exitCode: 0 })),
    })
    expect(rest.artifacts.get('test-output.txt')?.bytes.toString(), where).toBe(
      whole.artifacts.get('test-output.txt')?.bytes.toString(),
    )
  }
})

test('on another machine a repository that has changed meanwhile is told apart', async () => {
  const root = await repository({ 'a.txt': 'a\n' })
  const scripted = await model(byTurn([call('write_file', { path: 'b.txt', content: 'b\n' }), { text: 'done' }]))
  const input = { root, instruction: 'x' }
  const { steps } = await runEdit(await coder(scripted), input)
  const recorded = { snapshot: steps['snapshot'] }
  await put(root, 'a.txt', 'changed by somebody\n')
  await expect(runEdit(await coder(scripted), input, { steps: recorded, attempt: 2 })).rejects.toMatchObject({
    code: 'snapshot_changed',
  })
})
