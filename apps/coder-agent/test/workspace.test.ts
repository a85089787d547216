import { execFileSync } from 'node:child_process'
import { chmod, mkdir, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Refused } from '../src/workspace/refused.ts'
import { BaseRepository } from '../src/workspace/base-repository.ts'
import { takeSnapshot } from '../src/workspace/take-snapshot.ts'
import type { Snapshot } from '../src/workspace/take-snapshot.ts'
import { Workspace } from '../src/workspace/workspace.ts'
import type { Change } from '../src/workspace/workspace.ts'
import { git, put, repository, tempFolder } from './support/repository.ts'

const LIMITS = { filesMax: 100, bytesMax: 100_000, fileBytesMax: 10_000 }
const PATH = process.env['PATH'] ?? ''
const any = (): undefined => undefined

interface Opened {
  readonly base: BaseRepository
  readonly snapshot: Snapshot
  readonly workspace: Workspace
}

async function open(root: string, workDir?: string): Promise<Opened> {
  const base = await BaseRepository.open(workDir ?? (await tempFolder()), PATH)
  const snapshot = await takeSnapshot(base, root, LIMITS, AbortSignal.timeout(10_000))
  await base.keep('task', snapshot.tree)
  return { base, snapshot, workspace: await Workspace.open(base, 'task', snapshot.tree) }
}

const pathsOf = async (workspace: Workspace): Promise<string[]> => (await workspace.entries()).map(({ path }) => path)

async function textOf(workspace: Workspace, path: string): Promise<string | undefined> {
  const entry = await workspace.entry(path)
  return entry === undefined ? undefined : (await workspace.read(entry)).toString()
}

describe('snapshots', () => {
  test('hold what is on the disk: changed, new and deleted files, nothing that is ignored', async () => {
    const root = await repository({ 'a.txt': 'old\n', 'gone.txt': 'x', '.gitignore': 'dist/\n', 'src/b.txt': 'b' })
    await put(root, 'a.txt', 'new\n')
    await put(root, 'fresh.txt', 'f')
    await put(root, 'dist/out.txt', 'built')
    git(root, 'rm', '--quiet', '--cached', 'src/b.txt')
    const before = git(root, 'status', '--porcelain')
    await rm(join(root, 'gone.txt'))
    const { workspace, snapshot } = await open(root)
    expect(await pathsOf(workspace)).toEqual(['.gitignore', 'a.txt', 'fresh.txt', 'src/b.txt'])
    expect(await textOf(workspace, 'a.txt')).toBe('new\n')
    expect(snapshot).toMatchObject({ files: 4, leftOut: { secret: 0, 'too-large': 0 } })
    expect(git(root, 'status', '--porcelain')).not.toBe('')
    expect(before).not.toBe('')
  })

  test('are byte for byte what is there, whatever attributes say', async () => {
    const crlf = Buffer.from('one\r\ntwo\r\n')
    const latin = Buffer.from([0x63, 0x61, 0x66, 0xe9, 0x0a])
    const root = await repository({
      '.gitattributes': '* text=auto eol=crlf ident\n*.l working-tree-encoding=latin1\n*.f filter=evil\n',
      'crlf.txt': crlf,
      'lf.txt': '$Id$\n',
      'a.l': latin,
      'a.f': 'plain\n',
      'bin.dat': Buffer.from([0, 1, 2, 255]),
    })
    const { workspace } = await open(root)
    const { result } = await workspace.onDisk(
      async (folder) =>
        await Promise.all(['crlf.txt', 'lf.txt', 'a.l', 'a.f', 'bin.dat'].map((name) => readFile(join(folder, name)))),
      any,
    )
    expect(result).toEqual([crlf, Buffer.from('$Id$\n'), latin, Buffer.from('plain\n'), Buffer.from([0, 1, 2, 255])])
    expect(workspace.changed).toBe(false)
  })

  test('run nothing that the repository configures', async () => {
    const root = await repository({ 'a.f': 'x', '.gitattributes': '*.f filter=evil\n' })
    const marker = join(await tempFolder(), 'marker')
    git(root, 'config', 'core.fsmonitor', `touch ${marker}; echo`)
    git(root, 'config', 'filter.evil.clean', `touch ${marker}; cat`)
    git(root, 'config', 'filter.evil.smudge', `touch ${marker}; cat`)
    const { workspace } = await open(root)
    await workspace.onDisk(async () => {}, any)
    await expect(stat(marker)).rejects.toThrow('ENOENT')
  })

  test('leave out secrets, large files, links that lead out, and count them', async () => {
    const root = await repository(
      { 'a.txt': 'a', '.env': 'KEY=1', '.env.example': 'KEY=', id_rsa: 'k', 'big.bin': Buffer.alloc(10_001) },
      { git: false },
    )
    await symlink('/etc/passwd', join(root, 'absolute'))
    await symlink('../outside', join(root, 'relative'))
    await symlink('a.txt', join(root, 'inside'))
    await mkdir(join(root, 'node_modules/x'), { recursive: true })
    await writeFile(join(root, 'node_modules/x/i.js'), '')
    const { workspace, snapshot } = await open(root)
    expect(await pathsOf(workspace)).toEqual(['.env.example', 'a.txt', 'inside'])
    expect(snapshot.leftOut).toEqual({ secret: 2, 'too-large': 1, 'link-out': 2, special: 0 })
  })

  test('have bounds', async () => {
    const many = Object.fromEntries(Array.from({ length: 101 }, (_, index) => [`f${index}`, '']))
    await expect(open(await repository(many, { git: false }))).rejects.toMatchObject({ code: 'root_too_large' })
    const large = Object.fromEntries(Array.from({ length: 11 }, (_, index) => [`f${index}`, Buffer.alloc(9_999)]))
    await expect(open(await repository(large))).rejects.toMatchObject({ code: 'root_too_large' })
    await expect(open('/no/such/folder')).rejects.toMatchObject({ code: 'root_unreadable' })
    await expect(open('relative')).rejects.toMatchObject({ code: 'root_invalid' })
  })
})

describe('changes', () => {
  test('by tools and by commands make one patch for the tree of the user', async () => {
    const root = await repository({
      'a.txt': 'one\n',
      'run.sh': '#!/bin/sh\n',
      'dir/b.txt': 'b\n',
      '.gitignore': 'out/\n',
    })
    await chmod(join(root, 'run.sh'), 0o755)
    await put(root, 'a.txt', 'one, not committed\n')
    const { workspace } = await open(root)
    await workspace.write('new/deep.txt', Buffer.from('n\n'), any)
    await workspace.write('run.sh', Buffer.from('#!/bin/sh\necho\n'), any)
    await workspace.patch('--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-one, not committed\n+two\n', any)
    const { change, undone } = await workspace.onDisk(async (folder) => {
      expect(await readFile(join(folder, 'a.txt'), 'utf8')).toBe('two\n')
      expect((await stat(join(folder, 'run.sh'))).mode & 0o111).not.toBe(0)
      await put(folder, 'dir/b.txt', 'changed\n')
      await put(folder, 'bin', Buffer.from([0, 255]))
      await put(folder, 'out/ignored', 'x')
    }, any)
    expect([undone, change?.tree]).toEqual([[], workspace.tree])
    expect((await workspace.changedFiles()).map(({ path }) => path)).toEqual([
      'a.txt',
      'bin',
      'dir/b.txt',
      'new/deep.txt',
      'run.sh',
    ])
    const patch = join(await tempFolder(), 'p.diff')
    await writeFile(patch, await workspace.fullDiff())
    git(root, 'apply', patch)
    expect(await readFile(join(root, 'bin'))).toEqual(Buffer.from([0, 255]))
    expect(await readFile(join(root, 'a.txt'), 'utf8')).toBe('two\n')
    expect((await stat(join(root, 'run.sh'))).mode & 0o111).not.toBe(0)
  })

  test('are replayed elsewhere to the same tree, also where the bytes are no text', async () => {
    const root = await repository({ 'l.txt': Buffer.from([0xe9, 0x0a]), 'late.txt': `${'a'.repeat(9000)}\n` })
    const first = await open(root)
    const changes: (Change | undefined)[] = [
      await first.workspace.write('w.txt', Buffer.from('w'), any),
      (
        await first.workspace.onDisk(async (folder) => {
          await put(folder, 'l.txt', Buffer.from([0xe9, 0xe8, 0x0a]))
          await put(folder, 'late.txt', `${'a'.repeat(9000)}\0\n`)
        }, any)
      ).change,
    ]
    expect(changes[1]?.encoding).toBe('base64')
    const second = await open(root)
    for (const change of changes) if (change !== undefined) await second.workspace.replay(change)
    expect(second.workspace.tree).toBe(first.workspace.tree)
    await expect(
      second.workspace.replay({ tree: first.workspace.tree, diff: '', encoding: 'utf8' }),
    ).resolves.toBeUndefined()
    await expect(
      second.workspace.replay({ tree: first.snapshot.tree, diff: '', encoding: 'utf8' }),
    ).rejects.toMatchObject({ code: 'journal_mismatch' })
  })

  test('that are refused leave nothing behind', async () => {
    const root = await repository({ 'a.txt': 'a\n', 'no.txt': 'n\n' })
    const { workspace } = await open(root)
    const judge = ({ path }: { path: string }): string | undefined => (path === 'no.txt' ? 'not yours' : undefined)
    await expect(workspace.write('no.txt', Buffer.from('x'), judge)).rejects.toThrow('not yours')
    const both = '--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-a\n+b\n--- a/no.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-n\n'
    await expect(workspace.patch(both, judge)).rejects.toThrow('not yours')
    await expect(workspace.patch('--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-zzz\n+b\n', judge)).rejects.toThrow(
      'does not apply',
    )
    const miscounted = '--- a/a.txt\n+++ b/a.txt\n@@ -1,7 +1,9 @@\n-a\n+b\n'
    await expect(workspace.patch(miscounted, () => 'seen', { recount: true })).rejects.toThrow('seen')
    await expect(workspace.patch(miscounted, () => 'seen')).rejects.toThrow('does not apply')
    await expect(workspace.patch('no patch at all', judge)).rejects.toThrow('does not apply')
    expect(workspace.changed).toBe(false)
    const { undone, change } = await workspace.onDisk(async (folder) => {
      await put(folder, 'a.txt', 'allowed\n')
      await put(folder, 'no.txt', 'forbidden\n')
    }, judge)
    expect([undone, change?.diff.includes('forbidden')]).toEqual([['no.txt: not yours'], false])
    const { result } = await workspace.onDisk(async (folder) => await readFile(join(folder, 'no.txt'), 'utf8'), judge)
    expect(result).toBe('n\n')
  })
})

// Goal: nothing leads out of the workspace, by words or by links, whoever made the link.
describe('escapes', () => {
  test('patches cannot leave the tree, reach git or follow links', async () => {
    const root = await repository({ 'a.txt': 'a\n', 'dir/x': 'x\n' })
    await symlink('dir', join(root, 'link'))
    const { workspace } = await open(root)
    const add = (path: string): string => `--- /dev/null\n+++ b/${path}\n@@ -0,0 +1 @@\n+x\n`
    for (const path of ['../evil', '/etc/evil', 'dir/../../evil', '.git/config', 'dir/.GIT/config', 'link/evil']) {
      await expect(workspace.patch(add(path), any), path).rejects.toThrow(Refused)
    }
    const makeLink =
      'diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc\n\\ No newline at end of file\n'
    const noLinks = ({ kind }: { kind: string | undefined }): string | undefined =>
      kind === 'link' ? 'a link' : undefined
    await expect(workspace.patch(makeLink, noLinks)).rejects.toThrow('a link')
    expect(workspace.changed).toBe(false)
  })

  test('links are no way for tools: at the end, in the middle, from the snapshot or made by a command', async () => {
    const root = await repository({ 'dir/x': 'x\n' })
    await symlink('dir', join(root, 'link'))
    const { workspace } = await open(root)
    await workspace.onDisk(async (folder) => {
      await symlink('dir/x', join(folder, 'made'))
      await symlink('../dir', join(folder, 'dir/up'))
    }, any)
    for (const path of ['link', 'link/x', 'made', 'dir/up/x']) {
      await expect(workspace.entry(path), path).rejects.toThrow('symbolic link')
      await expect(workspace.write(path, Buffer.from('x'), any), path).rejects.toThrow('symbolic link')
    }
  })

  test('a command leaves no link out, no repository and no pipe', async () => {
    const root = await repository({ 'a.txt': 'a\n' })
    const { workspace } = await open(root)
    const marker = join(await tempFolder(), 'marker')
    const { undone, change } = await workspace.onDisk(async (folder) => {
      await symlink('/etc', join(folder, 'etc'))
      await symlink('.', join(folder, 'here'))
      await symlink('here/here/../..', join(folder, 'sly'))
      git(folder, 'init', '--quiet', 'sub')
      git(join(folder, 'sub'), 'config', 'core.fsmonitor', `touch ${marker}; echo`)
      git(folder, 'init', '--quiet', '.')
      git(folder, 'config', 'core.fsmonitor', `touch ${marker}; echo`)
      await put(folder, 'sub/kept.txt', 'k')
      execFileSync('mkfifo', [join(folder, 'pipe')])
    }, any)
    expect(undone.map((line) => line.split(':')[0] ?? '').toSorted((a, b) => (a < b ? -1 : 1))).toEqual([
      '.git',
      'etc',
      'pipe',
      'sly',
      'sub/.git',
    ])
    expect((await workspace.changedFiles()).map(({ path }) => path)).toEqual(['here', 'sub/kept.txt'])
    expect(change).toBeDefined()
    await expect(stat(marker)).rejects.toThrow('ENOENT')
  })
})

test('what git cannot take is undone as a whole, and the next command works again', async () => {
  const root = await repository({ 'a.txt': 'a\n' })
  const { workspace } = await open(root)
  const bad = await workspace.onDisk(async (folder) => {
    await put(folder, 'b.txt', 'b')
    await symlink('a.txt', join(folder, '.gitmodules')) // git refuses it by its own rules
  }, any)
  expect(bad).toMatchObject({ change: undefined, undone: [expect.stringContaining('all that it has changed')] })
  const good = await workspace.onDisk(async (folder) => {
    expect(await readdir(folder)).toEqual(['a.txt'])
    await put(folder, 'c.txt', 'c')
  }, any)
  expect(good.change?.diff).toContain('c.txt')
})

test('nothing is left of a workspace that is closed, and the repository of the user is as it was', async () => {
  const root = await repository({ 'a.txt': 'a\n' })
  const workDir = await tempFolder()
  const { base, snapshot, workspace } = await open(root, workDir)
  await workspace.onDisk(async (folder) => await put(folder, 'b.txt', 'b'), any)
  await workspace.close()
  expect(await readdir(join(workDir, 'worktrees'))).toEqual([])
  expect(await base.git.parts(['worktree', 'list', '--porcelain', '-z'])).not.toContainEqual(
    expect.stringContaining('task-'),
  )
  expect([git(root, 'status', '--porcelain'), await readdir(root)]).toEqual(['', ['.git', 'a.txt']])
  expect([await base.keeps('task', snapshot.tree), await base.keeps('task', workspace.tree)]).toEqual([true, false])
})
