import { Refused } from './refused.ts'

/**
 * The path of a file as a tree knows it: relative, with `/`, without `.` and `..`.
 * @throws {Refused} for whatever would lead out of the workspace, or into git's own folder
 */
export function treePath(text: string): string {
  if (text.length > PATH_MAX) throw new Refused(`a path has at most ${PATH_MAX} characters`)
  if (/[\0\n\r\\]/.test(text)) throw new Refused(`${JSON.stringify(text)} is not a path in this workspace`)
  if (text.startsWith('/') || /^[A-Za-z]:/.test(text)) {
    throw new Refused(`${text} is an absolute path; paths are relative to the root of the repository`)
  }
  const parts = text.split('/').filter((part) => part !== '' && part !== '.')
  if (parts.includes('..')) throw new Refused(`${text} leads out of the workspace`)
  if (parts.some(isGitFolder)) throw new Refused(`${text} belongs to git and is off limits`)
  return parts.join('/')
}

/** A path of a file; the root itself is none. */
export function filePath(text: string): string {
  const path = treePath(text)
  if (path === '') throw new Refused('the path names no file')
  return path
}

/** Names that some file system takes for `.git`. */
export const isGitFolder = (name: string): boolean => /^(?:\.git|git~\d)[. ]*$/i.test(name)

/** The folders above a path, from the root down: `a` and `a/b` of `a/b/c`. */
export function foldersAbove(path: string): string[] {
  const parts = path.split('/').slice(0, -1)
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'))
}

const PATH_MAX = 1024
