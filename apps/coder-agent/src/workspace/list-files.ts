import { readdir } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { GitError } from './git.ts'
import type { Git } from './git.ts'

export interface ListOptions {
  /** Speaks of no repository yet. */
  readonly git: Git
  readonly filesMax: number
  readonly signal: AbortSignal
}

/**
 * The files below `root`, relative to it and in order: what git tracks and what it would, uncommitted changes included. Without
 * git every file, except below folders that hold no source. One more than `filesMax` at most, so that too many can be told.
 */
export async function listFiles(root: string, options: ListOptions): Promise<string[]> {
  const files = (await listedByGit(root, options)) ?? (await walked(root, options))
  return files.sort().slice(0, options.filesMax + 1)
}

async function listedByGit(root: string, { git, signal }: ListOptions): Promise<string[] | undefined> {
  try {
    const listed = await git
      .with({ cwd: root })
      .parts(['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--deduplicate'], { signal })
    return listed.length > 0 ? listed : undefined // a folder that a repository around it ignores
  } catch (error) {
    if (error instanceof GitError && error.exitCode === 128) return undefined // not a repository
    throw error
  }
}

async function walked(root: string, { filesMax, signal }: ListOptions): Promise<string[]> {
  const files: string[] = []
  const folders = [root]
  for (let folder = folders.pop(); folder !== undefined && files.length <= filesMax; folder = folders.pop()) {
    signal.throwIfAborted()
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name)
      if (!entry.isDirectory()) files.push(relative(root, path).split(sep).join('/'))
      else if (!WITHOUT_SOURCE.has(entry.name)) folders.push(path)
    }
  }
  return files
}

const WITHOUT_SOURCE = new Set([
  '.git',
  '.hg',
  '.hypercode',
  '.mypy_cache',
  '.next',
  '.pytest_cache',
  '.ruff_cache',
  '.svn',
  '.tox',
  '.turbo',
  '.venv',
  '__pycache__',
  'coverage',
  'dist',
  'node_modules',
  'target',
  'venv',
])
