import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { call, coder, model, realSandbox, runEdit } from './support/coder.ts'
import { git, put, repository, tempFolder } from './support/repository.ts'

const FILES = {
  'package.json': '{"type":"module"}\n',
  'src/add.js': 'export const add = (a, b) => a - b\n',
  'test/add.test.js':
    "import assert from 'node:assert'\nimport { test } from 'node:test'\nimport { add } from '../src/add.js'\n\ntest('adds', () => assert.equal(add(2, 3), 5))\n",
  'README.md': 'adds numbers\n',
}
const FIX =
  '--- a/src/add.js\n+++ b/src/add.js\n@@ -1 +1 @@\n-export const add = (a, b) => a - b\n+export const add = (a, b) => a + b\n'
const RUN = call('run_command', { argv: ['node', '--test'] })

describe('code.edit', () => {
  test('looks, changes, runs the tests, and gives a patch that applies', async () => {
    const root = await repository(FILES)
    await put(root, 'README.md', 'adds numbers, not committed\n')
    const sandbox = await realSandbox()
    const scripted = await model([
      {
        text: 'Let me look.',
        toolCalls: [
          { name: 'list_files', input: {} },
          { name: 'search', input: { text: 'add =' } },
        ],
      },
      call('read_file', { path: 'src/add.js' }),
      RUN,
      call('apply_patch', { patch: FIX }),
      call('write_file', { path: 'docs/note.md', content: 'fixed\n' }),
      RUN,
      { text: 'I have fixed `add`, which subtracted.\nThe tests pass.' },
    ])
    const run = await runEdit(await coder(scripted, { sandbox }), { root, instruction: 'fix add' })
    expect(run.output).toMatchObject({
      summary: 'I have fixed `add`, which subtracted.\nThe tests pass.',
      changed: true,
      files: [
        { path: 'docs/note.md', change: 'written' },
        { path: 'src/add.js', change: 'written' },
      ],
      commands: [
        { command: 'node --test', exitCode: 1, timedOut: false },
        { command: 'node --test', exitCode: 0, timedOut: false },
      ],
      usage: { turns: 7, estimated: false },
    })
    const told = scripted.requests.map(({ messages }) => messages.at(-1)?.text ?? '')
    expect(told[0]).toContain('fix add')
    expect(scripted.requests[1]?.messages.slice(-2).map(({ text }) => text)).toEqual([
      'README.md 28\npackage.json 18\nsrc/add.js 35\ntest/add.test.js 150',
      'src/add.js:1:export const add = (a, b) => a - b',
    ])
    expect(told[2]).toBe('src/add.js, lines 1 to 1 of 1\n1\texport const add = (a, b) => a - b')
    expect(told[3]).toMatch(/^exit code 1\n\nstdout:\n[^]*-1 == 5/)
    expect(told[6]).toMatch(/^exit code 0/)
    expect(run.artifacts.get('test-output.txt')?.bytes.toString()).toMatch(
      /^\$ node --test\nexit code 1[^]*\$ node --test\nexit code 0/,
    )
    expect(run.artifacts.get('summary.md')?.bytes.toString()).toBe(run.output.summary)
    const patch = join(await tempFolder(), 'p')
    await writeFile(patch, run.artifacts.get('patch.diff')?.bytes ?? '')
    git(root, 'apply', patch)
    expect(await readFile(join(root, 'src/add.js'), 'utf8')).toContain('a + b')
    expect(git(root, 'status', '--porcelain')).toBe(' M README.md\n M src/add.js\n?? docs/\n')
  })

  test('streams what the model says and counts what it takes', async () => {
    const root = await repository(FILES)
    const scripted = await model([
      { text: ['I ', 'look.'], ...call('list_files', {}), usage: { inputTokens: 1000, outputTokens: 100 } },
      { text: 'Nothing to do.', usage: { inputTokens: 2000, outputTokens: 50 } },
    ])
    const run = await runEdit(await coder(scripted), { root, instruction: 'look' })
    expect(run.said).toBe('I look.Nothing to do.')
    expect(run.usage).toEqual([
      { key: 'turn-1', model: 'scripted', inputTokens: 1000, outputTokens: 100, usd: 0.0045 },
      { key: 'turn-2', model: 'scripted', inputTokens: 2000, outputTokens: 50, usd: 0.00675 },
    ])
    expect(run.output).toMatchObject({
      changed: false,
      files: [],
      usage: { inputTokens: 3000, outputTokens: 150, usd: 0.01125 },
    })
    expect(run.artifacts.get('patch.diff')?.bytes.byteLength).toBe(0)
    expect(Object.keys(run.steps)).toEqual(['snapshot', 'turn-1', 'turn-1/call-1 list_files', 'turn-2'])
  })

  test('usage that a model does not say is reckoned, and said to be', async () => {
    const root = await repository(FILES)
    const scripted = await model([{ text: 'Nothing to do here.', usage: null }])
    const { output, usage } = await runEdit(await coder(scripted), { root, instruction: 'look' })
    expect(output).toMatchObject({ usage: { estimated: true, outputTokens: 6 } })
    expect(usage[0]?.inputTokens).toBeGreaterThan(100)
  })
})

describe('what a model must not', () => {
  test('every tool answers with what is wrong, and the task goes on', async () => {
    const root = await repository(FILES)
    const asked: [string, unknown, RegExp][] = [
      ['read_file', { path: '/etc/passwd' }, /absolute path/],
      ['read_file', { path: '../secret' }, /leads out/],
      ['read_file', { path: 'src/../../x' }, /leads out/],
      ['read_file', { path: '.git/config' }, /off limits/],
      ['read_file', { path: 'src' }, /is a folder/],
      ['read_file', { path: 'nope' }, /no file/],
      ['write_file', { path: 'src/.GIT/hooks/x', content: '' }, /off limits/],
      ['write_file', { path: '.env', content: 'A=1' }, /must not be changed/],
      ['write_file', { path: 'src/add.js/x', content: '' }, /cannot be written/],
      ['list_files', { folder: '..' }, /leads out/],
      ['search', { text: 'x', files: '../**' }, /leads out/],
      ['search', { text: '(', regex: true }, /the search failed/],
      ['apply_patch', { patch: FIX.replaceAll('src/add.js', '../add.js') }, /does not apply/],
      ['run_command', { argv: ['sh', '-c', 'ls'] }, /not among the programs/],
      ['run_command', { argv: ['./evil'] }, /not among the programs/],
      ['run_command', { argv: ['npm', 'publish'] }, /may be run with/],
      ['run_command', { argv: ['node', '--test'] }, /no sandbox on this machine/],
    ]
    const scripted = await model([...asked.map(([name, input]) => call(name, input)), { text: 'I could do nothing.' }])
    const { output } = await runEdit(await coder(scripted), { root, instruction: 'try' })
    for (const [index, [name, input, reason]] of asked.entries()) {
      const told = scripted.requests[index + 1]?.messages.at(-1)?.text
      expect(told, `${name} ${JSON.stringify(input)}`).toMatch(reason)
      expect(told).toMatch(/^refused: /)
    }
    expect(output).toMatchObject({ changed: false, commands: [] })
  })

  test('a task allows less: tools, paths, commands', async () => {
    const root = await repository(FILES)
    const sandbox = await realSandbox()
    const scripted = await model([
      call('search', { text: 'add' }),
      call('write_file', { path: 'README.md', content: 'x' }),
      call('write_file', { path: 'src/new.js', content: 'export {}\n' }),
      call('run_command', { argv: ['node', '-e', '1'] }),
      call('run_command', { argv: ['ls', 'src'] }),
      call('run_command', { argv: ['node', 'src/write.js'] }),
      { text: 'done' },
    ])
    await put(
      root,
      'src/write.js',
      "import fs from 'node:fs'\nfs.writeFileSync('README.md', 'x'); fs.writeFileSync('src/by.js', '')\n",
    )
    const policy = { deny: ['search' as const], paths: ['src/*'], commands: ['ls*', 'node src/*'] }
    const { output } = await runEdit(await coder(scripted, { sandbox }), { root, instruction: 'x', policy })
    const told = scripted.requests.slice(1).map(({ messages }) => messages.at(-1)?.text ?? '')
    expect(told[0]).toContain('the policy of this task denies search')
    expect(told[1]).toContain('README.md is not among the paths')
    expect(told[3]).toContain('this task may run only: ls*, node src/*')
    expect(told[4]).toContain('add.js\nnew.js')
    expect(told[5]).toMatch(/exit code 0[^]*Undone[^]*README.md is not among/)
    expect(output).toMatchObject({ files: [{ path: 'src/by.js' }, { path: 'src/new.js' }] })
  })

  test('commands see neither network, nor environment, nor other folders', async () => {
    const root = await repository({
      'package.json': '{"type":"module"}\n',
      'a.js':
        "import fs from 'node:fs'\nimport net from 'node:net'\nconsole.log(Object.keys(process.env).sort().join(), fs.existsSync(process.argv[2]))\nnet.connect(Number(process.argv[3]), '127.0.0.1').on('error', ({ code }) => console.log(code)).on('connect', () => console.log('out'))\n",
    })
    const sandbox = await realSandbox()
    const scripted = await model(({ index }) =>
      index === 0
        ? call('run_command', { argv: ['node', 'a.js', root, new URL(scripted.baseUrl).port] })
        : { text: 'done' },
    )
    await runEdit(await coder(scripted, { sandbox }), { root, instruction: 'x' })
    const told = scripted.requests[1]?.messages.at(-1)?.text ?? ''
    expect(told).toMatch(/CI,HOME,LANG,NO_COLOR,PATH\S* false\n(?:ECONNREFUSED|ENETUNREACH)/)
  })
})

describe('nonsense', () => {
  test('is fed back with what is wrong with it', async () => {
    const root = await repository(FILES)
    const scripted = await model([
      {
        toolCalls: [
          { name: 'read_file', input: '{broken' },
          { name: 'fly', input: {} },
          { name: 'read_file', input: { file: 1 } },
        ],
      },
      {},
      { text: 'cut', finishReason: 'length' },
      { text: 'all good now' },
    ])
    const { output } = await runEdit(await coder(scripted), { root, instruction: 'x' })
    const last = (index: number, count: number): (string | undefined)[] =>
      scripted.requests[index]?.messages.slice(-count).map(({ text }) => text) ?? []
    expect(last(1, 3)).toEqual([
      'refused: the input is not JSON',
      expect.stringContaining('there is no tool fly; there are list_files'),
      expect.stringMatching(/the input does not fit: .*\/path.*\/file/),
    ])
    expect(last(2, 1)).toEqual([expect.stringContaining('Go on, or say')])
    expect(last(3, 1)).toEqual([expect.stringContaining('Your answer was cut')])
    expect(output).toMatchObject({ summary: 'all good now' })
  })

  test('has an end', async () => {
    const root = await repository(FILES)
    const scripted = await model(() => ({ toolCalls: [{ name: 'read_file', input: {} }] }))
    await expect(runEdit(await coder(scripted), { root, instruction: 'x' })).rejects.toMatchObject({
      code: 'model_confused',
    })
    expect(scripted.requests).toHaveLength(5)
  })
})
