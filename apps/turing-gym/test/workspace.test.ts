import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { newId } from '@hypercode/contracts'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openBaseFolder } from '../src/workspace/base-folder.ts'
import { layOut, sampleFolder } from '../src/workspace/sample-folder.ts'
import { WorkspaceFault, applyPatch, copyWorkspace } from '../src/workspace/scored-copy.ts'

let base: string
beforeEach(() => {
  base = mkdtempSync(path.join(tmpdir(), 'gym-workspace-'))
})
afterEach(() => rmSync(base, { recursive: true, force: true }))

const modeOf = (file: string): number => statSync(file).mode & 0o777

test('the folder of a sample is open to its agent and hidden among the others, whatever the umask', async () => {
  const before = process.umask(0o077)
  try {
    const folder = sampleFolder(base, newId(), newId(), 1)
    await layOut(base, folder, { 'readme.md': 'hello', 'src/deep/a.ts': 'a' })
    expect(readFileSync(path.join(folder.work, 'src/deep/a.ts'), 'utf8')).toBe('a')
    for (const one of ['', 'src', 'src/deep']) expect(modeOf(path.join(folder.work, one))).toBe(0o777)
    expect(modeOf(path.join(folder.work, 'readme.md'))).toBe(0o666)
    // Its parents can be passed, and not listed.
    expect(modeOf(path.dirname(folder.work))).toBe(0o711)
    expect(modeOf(path.dirname(path.dirname(folder.work)))).toBe(0o711)
    await folder.remove()
    expect(existsSync(path.dirname(folder.work))).toBe(false)
  } finally {
    process.umask(before)
  }
})

test('a folder that is there is left to the agent that works in it', async () => {
  const folder = sampleFolder(base, newId(), newId(), 1)
  await layOut(base, folder, { 'a.txt': 'given' })
  writeFileSync(path.join(folder.work, 'a.txt'), 'changed')
  await layOut(base, folder, { 'a.txt': 'given' })
  expect(readFileSync(path.join(folder.work, 'a.txt'), 'utf8')).toBe('changed')
})

test('links and pipes that an agent leaves are not in the copy that is scored', async () => {
  const [from, to] = [path.join(base, 'from'), path.join(base, 'to')]
  mkdirSync(path.join(from, 'sub'), { recursive: true })
  writeFileSync(path.join(from, 'sub/real.txt'), 'real')
  symlinkSync('/etc/passwd', path.join(from, 'passwd'))
  symlinkSync('/etc', path.join(from, 'etc'))
  execFileSync('mkfifo', [path.join(from, 'pipe')])
  await copyWorkspace(from, to)
  expect(readdirSync(to)).toEqual(['sub'])
  expect(readFileSync(path.join(to, 'sub/real.txt'), 'utf8')).toBe('real')
})

test('a workspace that was filled on purpose is the fault of its agent', async () => {
  const from = path.join(base, 'from')
  let folder = from
  for (let depth = 0; depth < 70; depth += 1) folder = path.join(folder, 'd')
  mkdirSync(folder, { recursive: true })
  await expect(copyWorkspace(from, path.join(base, 'to'))).rejects.toThrow(WorkspaceFault)
})

const patchOf = (lines: string[]): Buffer => Buffer.from(`${lines.join('\n')}\n`)

test('a patch is applied to the copy, and one that does not fit is the fault of its agent', async () => {
  writeFileSync(path.join(base, 'a.txt'), 'one\ntwo\n')
  const patch = patchOf([
    'diff --git a/a.txt b/a.txt',
    '--- a/a.txt',
    '+++ b/a.txt',
    '@@ -1,2 +1,2 @@',
    ' one',
    '-two',
    '+three',
  ])
  await applyPatch(base, patch)
  expect(readFileSync(path.join(base, 'a.txt'), 'utf8')).toBe('one\nthree\n')
  await expect(applyPatch(base, patch)).rejects.toThrow(/does not apply/)
  await applyPatch(base, Buffer.alloc(0))
})

test('no patch leads out of the folder, by its paths or by a link that it makes', async () => {
  const folder = path.join(base, 'inner')
  mkdirSync(folder)
  const outside = patchOf(['diff --git a/x b/x', '--- /dev/null', '+++ b/../escaped.txt', '@@ -0,0 +1 @@', '+out'])
  await expect(applyPatch(folder, outside)).rejects.toThrow(WorkspaceFault)
  const link = [
    'diff --git a/link b/link',
    'new file mode 120000',
    '--- /dev/null',
    '+++ b/link',
    '@@ -0,0 +1 @@',
    `+${base}`,
    '\\ No newline at end of file',
  ]
  await applyPatch(folder, patchOf(link))
  expect(statSync(path.join(folder, 'link')).isFile()).toBe(true)
  const through = patchOf([
    'diff --git a/link/x b/link/x',
    'new file mode 100644',
    '--- /dev/null',
    '+++ b/link/x',
    '@@ -0,0 +1 @@',
    '+out',
  ])
  await expect(applyPatch(folder, through)).rejects.toThrow(WorkspaceFault)
  expect(readdirSync(base)).toEqual(['inner'])
})

test('a patch is judged by its folder alone, also inside of somebody’s repository', async () => {
  execFileSync('git', ['init', '-q', base])
  const folder = path.join(base, 'work')
  mkdirSync(folder)
  await applyPatch(
    folder,
    patchOf([
      'diff --git a/new.txt b/new.txt',
      'new file mode 100644',
      '--- /dev/null',
      '+++ b/new.txt',
      '@@ -0,0 +1 @@',
      '+new',
    ]),
  )
  expect(readFileSync(path.join(folder, 'new.txt'), 'utf8')).toBe('new\n')
})

test('the base folder is the gym’s own, and nobody else can write to it', async () => {
  const folder = path.join(base, 'gym')
  await openBaseFolder(folder)
  expect(modeOf(folder)).toBe(0o711)
  chmodSync(folder, 0o777)
  await openBaseFolder(folder)
  expect(modeOf(folder)).toBe(0o711)
  const elsewhere = path.join(base, 'link')
  symlinkSync(folder, elsewhere)
  await expect(openBaseFolder(elsewhere)).rejects.toThrow('GYM_DIR')
})
