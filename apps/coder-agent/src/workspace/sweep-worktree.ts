import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { leadsOut } from './take-snapshot.ts'
import { isGitFolder } from './tree-path.ts'

/**
 * Takes out of a worktree what a command must not leave there, before git looks at it: folders and files of git itself (their
 * configuration could start programs), links that lead out, sockets, pipes and devices. Answers what was taken, at most 20 paths.
 */
export async function sweepWorktree(root: string): Promise<string[]> {
  const taken: string[] = []
  const folders = ['']
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of await readdir(join(root, folder), { withFileTypes: true })) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      const stays =
        !isGitFolder(entry.name) &&
        (entry.isFile() || entry.isDirectory() || (entry.isSymbolicLink() && !(await leadsOut(root, path))))
      if (!stays) {
        await rm(join(root, path), { recursive: true, force: true })
        if (taken.length < NAMED_MAX) taken.push(path)
      } else if (entry.isDirectory()) folders.push(path)
    }
  }
  return taken
}

const NAMED_MAX = 20
