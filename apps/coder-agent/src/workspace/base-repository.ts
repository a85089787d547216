import { mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { Git } from './git.ts'

/**
 * The repository of the coder itself, below its work folder. Snapshots and everything that is made out of them are objects in
 * it; the repository of the user is only ever read.
 * - B1: attributes of a checked-out tree change no byte: no filters, no line endings, no encodings.
 * - B2: a snapshot stays for a week, for attempts that go on later; what nothing refers to is given up after a day.
 */
export class BaseRepository {
  /** With the base as its repository, and no work tree. */
  readonly git: Git
  /** Git without a repository, to look into the one of a user. */
  readonly outside: Git
  readonly #worktrees: string
  readonly #gitDir: string
  #tidiedAtMs = 0

  private constructor(workDir: string, outside: Git) {
    const gitDir = join(workDir, BASE)
    this.outside = outside
    this.git = outside.with({ cwd: gitDir, gitDir })
    this.#gitDir = gitDir
    this.#worktrees = join(workDir, WORKTREES)
  }

  /** Opens the one below `workDir`, or makes it. Safe while other processes do the same. */
  static async open(workDir: string, path: string): Promise<BaseRepository> {
    const gitDir = join(workDir, BASE)
    await mkdir(join(workDir, WORKTREES), { recursive: true, mode: 0o700 })
    const outside = new Git({ cwd: workDir, path })
    if ((await changedAtMs(join(gitDir, 'HEAD'))) === undefined) await create(outside, workDir, gitDir)
    const base = new BaseRepository(workDir, outside)
    await base.tidy()
    return base
  }

  /** Brings files of a folder into a tree, byte for byte; their paths are relative to it. */
  async treeOf(folder: string, paths: readonly string[], signal: AbortSignal): Promise<string> {
    const scratch = await mkdtemp(join(this.#gitDir, 'scratch-'))
    try {
      const git = this.git.with({ cwd: folder, workTree: folder, indexFile: join(scratch, 'index') })
      const input = paths.map((path) => `${path}\0`).join('')
      await git.line(['update-index', '--add', '--remove', '-z', '--stdin'], { input, signal })
      return await git.line(['write-tree'], { signal })
    } finally {
      await rm(scratch, { recursive: true, force: true })
    }
  }

  /** Keeps a tree under the name of a task. */
  async keep(taskId: string, tree: string): Promise<void> {
    const commit = await this.git.line(['commit-tree', tree, '-m', 'snapshot'])
    await this.git.line(['update-ref', refOf(taskId), commit])
  }

  /** Is this tree kept under the name of the task? */
  async keeps(taskId: string, tree: string): Promise<boolean> {
    return (await this.git.line(['for-each-ref', '--format=%(tree)', refOf(taskId)])) === tree
  }

  /** A folder of its own for an attempt, empty so far; those of earlier attempts of the task end. */
  async openFolder(taskId: string): Promise<string> {
    for (const name of await readdir(this.#worktrees)) {
      if (name.startsWith(`${taskId}-`)) await this.removeFolder(join(this.#worktrees, name))
    }
    return await mkdtemp(join(this.#worktrees, `${taskId}-`))
  }

  /** Makes a worktree of the commit that is kept for the task out of such a folder; nothing is checked out yet. */
  async addWorktree(folder: string, taskId: string): Promise<Git> {
    await this.git.line(['worktree', 'add', '--quiet', '--detach', '--no-checkout', folder, refOf(taskId)])
    // Its `.git` file would be within the reach of commands. Where the repository is, git is told.
    await rm(join(folder, '.git'))
    return this.git.with({ cwd: folder, gitDir: this.#adminOf(folder), workTree: folder })
  }

  async removeFolder(folder: string): Promise<void> {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 })
    await rm(this.#adminOf(folder), { recursive: true, force: true })
  }

  /** Where git keeps what belongs to a worktree alone; git names it after the folder, whose name is unique. */
  #adminOf(folder: string): string {
    return join(this.#gitDir, 'worktrees', basename(folder))
  }

  /** B2, and what killed processes have left. Does nothing when it was done within the hour. */
  async tidy(): Promise<void> {
    if (Date.now() - this.#tidiedAtMs < TIDY_EVERY_MS) return
    this.#tidiedAtMs = Date.now()
    const oldestMs = Date.now() - KEPT_MS
    const refs = await this.git.text(['for-each-ref', '--format=%(refname) %(committerdate:unix)', 'refs/hypercode'])
    for (const line of refs.split('\n').filter((one) => one !== '')) {
      const [ref = '', seconds] = line.split(' ')
      if (Number(seconds) * 1000 < oldestMs) await this.git.line(['update-ref', '-d', ref])
    }
    for (const name of await readdir(this.#worktrees)) {
      const folder = join(this.#worktrees, name)
      if (((await changedAtMs(folder)) ?? oldestMs) < oldestMs) await this.removeFolder(folder)
    }
    await this.git.line(['gc', '--auto', '--quiet'])
  }
}

async function create(git: Git, workDir: string, gitDir: string): Promise<void> {
  const made = await mkdtemp(join(workDir, 'new-'))
  const inside = git.with({ cwd: made, gitDir: made })
  await inside.line(['init', '--quiet', '--bare', made])
  for (const [key, value] of Object.entries(CONFIG)) await inside.line(['config', key, value])
  await mkdir(join(made, 'info'), { recursive: true })
  await writeFile(join(made, 'info', 'attributes'), '* -text -ident -filter !eol !working-tree-encoding !diff\n') // B1
  try {
    await rename(made, gitDir)
  } catch (error) {
    await rm(made, { recursive: true, force: true })
    if ((await changedAtMs(join(gitDir, 'HEAD'))) === undefined) throw error // else another process was first
  }
}

/** `undefined` when there is no such file. */
async function changedAtMs(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mtimeMs
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

const CONFIG = {
  'core.autocrlf': 'false',
  'core.quotePath': 'false',
  'core.protectHFS': 'true',
  'core.protectNTFS': 'true',
  'core.logAllRefUpdates': 'false',
  'gc.auto': '4000',
  'gc.autoDetach': 'false',
  'gc.pruneExpire': '1.day.ago',
  'gc.worktreePruneExpire': 'never',
}

const refOf = (taskId: string): string => `refs/hypercode/${taskId}`

const BASE = 'base.git'
const WORKTREES = 'worktrees'
const TIDY_EVERY_MS = 3_600_000
const KEPT_MS = 7 * 24 * 3_600_000
