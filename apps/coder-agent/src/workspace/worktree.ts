import { chmod, readdir, rm } from 'node:fs/promises'
import type { Dirent } from 'node:fs'
import { join } from 'node:path'
import type { BaseRepository } from './base-repository.ts'
import type { Git } from './git.ts'
import { leadsOut } from './take-snapshot.ts'
import { isGitFolder } from './tree-path.ts'

/** The files of a tree in a folder, for commands to work on. */
export class Worktree {
  readonly #folder: string
  readonly #git: Git

  private constructor(folder: string, git: Git) {
    this.#folder = folder
    this.#git = git
  }

  static async add(base: BaseRepository, folder: string, taskId: string): Promise<Worktree> {
    return new Worktree(folder, await base.addWorktree(folder, taskId))
  }

  /** Brings the files to a tree; files that git ignores stay. */
  async checkOut(tree: string): Promise<void> {
    await this.#git.line(['read-tree', '--reset', '-u', tree])
  }

  /**
   * The tree that a command has left.
   * @throws {GitError} when git cannot take it
   */
  async takeIn(): Promise<{ readonly tree: string; readonly removed: readonly string[] }> {
    const removed = await sweep(this.#folder)
    await this.#git.line(['add', '--all', '.'])
    return { tree: await this.#git.line(['write-tree']), removed }
  }
}

/**
 * Takes out of a folder what a command must not leave there, before git looks at it: folders and files of git itself (their
 * configuration could start programs), links that lead out, sockets, pipes and devices. Answers what was taken, at most 20 paths.
 */
async function sweep(root: string): Promise<string[]> {
  const taken: string[] = []
  const folders = ['']
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of await entriesOf(join(root, folder))) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (!(await mayStay(root, path, entry))) {
        await rm(join(root, path), { recursive: true, force: true, maxRetries: 3 })
        if (taken.length < NAMED_MAX) taken.push(path)
      } else if (entry.isDirectory()) folders.push(path)
    }
  }
  return taken
}

async function mayStay(root: string, path: string, entry: Dirent): Promise<boolean> {
  if (isGitFolder(entry.name)) return false
  if (entry.isSymbolicLink()) return !(await leadsOut(root, path))
  return entry.isFile() || entry.isDirectory()
}

/** Also of a folder that a command has closed. */
async function entriesOf(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true })
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EACCES')) throw error
    await chmod(folder, 0o700)
    return await readdir(folder, { withFileTypes: true })
  }
}

const NAMED_MAX = 20
