import { symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { call, coder, model, realSandbox, runExplain, runReview } from './support/coder.ts'
import { repository } from './support/repository.ts'

const FILES = { 'src/add.js': 'export const add = (a, b) => a - b\n', 'old.txt': 'old\n' }
const PATCH =
  '--- a/src/add.js\n+++ b/src/add.js\n@@ -1 +1 @@\n-export const add = (a, b) => a - b\n+export const add = (a, b) => a + b\n' +
  '--- a/old.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-old\n'
const APPROVAL = { approved: true, findings: [], summary: 'It does what it says.' }

describe('code.review', () => {
  test('reads the patched files, runs commands on them, and judges', async () => {
    const root = await repository(FILES)
    const sandbox = await realSandbox()
    const finding = { severity: 'minor', path: 'src/add.js', line: 1, message: 'no test' }
    const scripted = await model([
      call('read_file', { path: 'src/add.js' }),
      call('run_command', { argv: ['node', '-e', "require('fs').writeFileSync('src/add.js', 'spoilt')"] }),
      call('write_file', { path: 'x', content: 'x' }),
      call('read_file', { path: 'src/add.js' }),
      call('submit_review', {
        ...APPROVAL,
        findings: [finding, { severity: 'note', path: 'old.txt', message: 'gone' }],
      }),
    ])
    const { output } = await runReview(await coder(scripted, { sandbox }), {
      root,
      patch: PATCH,
      instruction: 'fix add',
    })
    expect(output).toMatchObject({ approved: true, summary: 'It does what it says.', usage: { turns: 5 } })
    expect(output.findings).toHaveLength(2)
    const told = scripted.requests.map(({ messages }) => messages.at(-1)?.text ?? '')
    expect(told[0]).toMatch(/fix add[^]*The patch:[^]*a \+ b/)
    expect(told[1]).toContain('a + b')
    expect(told[2]).toMatch(/Undone[^]*this task changes nothing/)
    expect(told[3]).toContain('there is no tool write_file')
    expect(told[4]).toContain('a + b')
  })

  test('takes the patch of another task of the mission', async () => {
    const root = await repository(FILES)
    const scripted = await model([call('submit_review', APPROVAL)])
    const { output } = await runReview(
      await coder(scripted),
      { root, patchFrom: { task: 'edit' } },
      { artifacts: [{ taskKey: 'edit', name: 'patch.diff', data: PATCH }] },
    )
    expect(output.approved).toBe(true)
    await expect(runReview(await coder(scripted), { root, patchFrom: { task: 'nobody' } })).rejects.toMatchObject({
      code: 'artifact_missing',
    })
  })

  test('does not approve what cannot be applied, and asks no model for it', async () => {
    const root = await repository(FILES)
    await symlink('src', join(root, 'link'))
    const scripted = await model([])
    const link =
      'diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc\n\\ No newline at end of file\n'
    for (const [patch, reason] of [
      [PATCH.replace('a - b', 'a * b'), 'does not apply'],
      [PATCH.replaceAll('src/add.js', '../add.js'), 'does not apply'],
      [PATCH.replaceAll('src/add.js', 'link/add.js'), 'does not apply'],
      [link, 'is made a link'],
      ['', 'the patch is empty'],
    ] as const) {
      const { output } = await runReview(await coder(scripted), { root, patch })
      expect(output).toMatchObject({ approved: false, findings: [{ severity: 'blocker' }] })
      expect(output.summary).toContain(reason)
    }
    expect(scripted.requests).toEqual([])
  })

  test('a review that contradicts itself or points nowhere goes back', async () => {
    const root = await repository(FILES)
    const scripted = await model([
      { text: 'Looks good to me!' },
      call('submit_review', { approved: 'yes' }),
      call('submit_review', { ...APPROVAL, findings: [{ severity: 'blocker', message: 'broken' }] }),
      call('submit_review', {
        ...APPROVAL,
        findings: [{ severity: 'note', path: 'src/add.js', line: 9, message: 'here' }],
      }),
      call('submit_review', { ...APPROVAL, approved: false }),
    ])
    const { output } = await runReview(await coder(scripted), { root, patch: PATCH })
    expect(output.approved).toBe(false)
    const told = scripted.requests.slice(1).map(({ messages }) => messages.at(-1)?.text)
    expect(told).toEqual([
      'Hand in your result by calling submit_review.',
      expect.stringContaining('/approved'),
      expect.stringContaining('a blocker cannot be approved'),
      expect.stringContaining('src/add.js has only 1 lines, and not 9'),
    ])
  })

  test('needs one patch', async () => {
    const scripted = await model([])
    const root = await repository(FILES)
    for (const input of [{ root }, { root, patch: PATCH, patchFrom: { task: 'edit' } }]) {
      await expect(runReview(await coder(scripted), input)).rejects.toMatchObject({ code: 'input_invalid' })
    }
  })
})

describe('code.explain', () => {
  test('answers with places that exist', async () => {
    const root = await repository(FILES)
    const answer = { answer: 'It subtracts.', references: [{ path: 'src/add.js', fromLine: 1 }] }
    const scripted = await model([
      call('search', { text: 'add' }),
      call('submit_answer', { ...answer, references: [{ path: 'src/sub.js', fromLine: 1 }] }),
      call('submit_answer', { ...answer, references: [{ path: 'src/add.js', fromLine: 1, toLine: 2 }] }),
      call('submit_answer', { ...answer, references: [{ path: '../add.js', fromLine: 1 }] }),
      call('submit_answer', answer),
    ])
    const { output } = await runExplain(await coder(scripted), { root, question: 'what does add do?' })
    expect(output).toMatchObject(answer)
    const told = scripted.requests.slice(2).map(({ messages }) => messages.at(-1)?.text)
    expect(told).toEqual([
      'refused: there is no file src/sub.js',
      'refused: src/add.js has only 1 lines, and not 2',
      'refused: ../add.js leads out of the workspace',
    ])
    expect(scripted.requests[0]?.tools).toEqual(['list_files', 'search', 'read_file', 'submit_answer'])
  })
})

test('each skill says what is wrong with its input', async () => {
  const agent = await coder(await model([]))
  const root = await repository(FILES)
  await expect(runExplain(agent, { root } as never)).rejects.toMatchObject({
    code: 'input_invalid',
    detail: expect.stringContaining('/question'),
  })
  await expect(runExplain(agent, { root, question: 'x', limits: { turns: 0 } })).rejects.toMatchObject({
    detail: expect.stringContaining('/limits/turns'),
  })
  await expect(runExplain(agent, { root: 'here', question: 'x' })).rejects.toMatchObject({ code: 'root_invalid' })
})
