import { FilePath } from '@hypercode/contracts'
import type { Fault, Scenario } from '@hypercode/contracts'

const SAFE = new RegExp(FilePath.pattern ?? '')
const LENGTH_MAX = FilePath.maxLength ?? 0
/** What asks for the folder of a sample in its input. */
const PLACEHOLDER = '${workspace}'

/** Faults of the files of a scenario: paths that lead out of the workspace, or cannot stand side by side in one. */
export function workspaceFaults({ workspace, input }: Scenario, at: string): Fault[] {
  const isAskedFor = (JSON.stringify(input) ?? '').includes(PLACEHOLDER)
  if (workspace === undefined) {
    if (!isAskedFor) return []
    return [
      {
        pointer: `${at}/input`,
        message: `there is no workspace for ${PLACEHOLDER}`,
        fix: 'Give the scenario a workspace with files.',
      },
    ]
  }
  const unasked = isAskedFor
    ? []
    : [
        {
          pointer: `${at}/workspace`,
          message: 'the agent is not told of it',
          fix: `Name its folder in the input: root: "${PLACEHOLDER}".`,
        },
      ]
  return [...unasked, ...pathFaults(workspace.files, `${at}/workspace/files`)]
}

/** Faults of files by their paths below a folder. */
export function pathFaults(files: Readonly<Record<string, string>>, at: string): Fault[] {
  const paths = Object.keys(files)
  const folders = new Set(paths.flatMap(foldersOf))
  return paths.flatMap((path) => {
    const pointer = `${at}/${path.replaceAll('~', '~0').replaceAll('/', '~1')}`
    if (!isSafe(path))
      return [
        {
          pointer,
          message: `"${path}" is no path below the workspace`,
          fix: 'Write it without "..", and not absolute.',
        },
      ]
    if (folders.has(path)) return [{ pointer, message: `"${path}" is a file here and a folder elsewhere` }]
    return []
  })
}

/** Git would take what is in `.git` for its own, hooks for one. */
const isSafe = (path: string): boolean =>
  SAFE.test(path) &&
  path.length <= LENGTH_MAX &&
  path.isWellFormed() &&
  path.split('/').every((part) => part !== '' && part.toLowerCase() !== '.git')

const foldersOf = (path: string): string[] => {
  const parts = path.split('/')
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'))
}
