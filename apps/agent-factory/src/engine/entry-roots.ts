import { realpathSync, statSync } from 'node:fs'
import { sep } from 'node:path'

/** Whether a path is a file below one of the folders, however many links lead there. What cannot be looked at is not. */
export function createEntryRoots(roots: readonly string[]): (path: string) => boolean {
  return (path) => {
    try {
      const file = realpathSync(path)
      if (!statSync(file).isFile()) return false
      return roots.some((root) => file.startsWith(realpathSync(root).replace(/\/$/, '') + sep))
    } catch (error) {
      if (error instanceof Error && 'code' in error) return false
      throw error
    }
  }
}
