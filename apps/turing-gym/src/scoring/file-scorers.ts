import { constants } from 'node:fs'
import { open, realpath } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { ScoringFault } from './scorer.ts'
import type { Evidence, Judgement, ScorerOf } from './scorer.ts'
import { right, wrong } from './value-scorers.ts'

/** Scorers of the files that are there after the agent's work. */

export const fileExists: ScorerOf<'file-exists'> = async (evidence, { file, exists = true }) => {
  const read = await readWithin(evidence, file)
  if (read.there === exists) return right()
  return wrong(read.there ? `${file} is there` : read.why)
}

export const fileContains: ScorerOf<'file-contains'> = async (evidence, { file, text }) =>
  await onFile(evidence, file, (content) =>
    content.includes(text) ? right() : wrong(`${file} does not contain the text`),
  )

export const fileEquals: ScorerOf<'file-equals'> = async (evidence, { file, content: expected }) =>
  await onFile(evidence, file, (content) =>
    content === expected ? right() : wrong(`${file} differs ${firstDifference(content, expected)}`),
  )

async function onFile(evidence: Evidence, file: string, judge: (content: string) => Judgement): Promise<Judgement> {
  const read = await readWithin(evidence, file)
  return read.there ? judge(read.content) : wrong(read.why)
}

type ReadFile = { readonly there: true; readonly content: string } | { readonly there: false; readonly why: string }

/** Larger files are not looked at; no scorer may fill the memory with what an agent wrote. */
const FILE_MAX_BYTES = 8 * 1024 * 1024

/** Reads a plain file of the workspace. The patch of an agent may have made it a link to somewhere else, which is not followed. */
async function readWithin(evidence: Evidence, file: string): Promise<ReadFile> {
  const missing = (why: string): ReadFile => ({ there: false, why })
  const path = join(workspaceOf(evidence), file)
  try {
    if ((await realpath(path)) !== path) return missing(`${file} is a link`)
    // Without waiting, since opening a pipe would wait for its other end.
    await using handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    const stat = await handle.stat()
    if (!stat.isFile()) return missing(`${file} is no file`)
    if (stat.size > FILE_MAX_BYTES) return missing(`${file} is larger than ${FILE_MAX_BYTES} bytes`)
    return { there: true, content: await handle.readFile('utf8') }
  } catch (error) {
    if (!isAbsence(error)) throw error
    return missing(`there is no ${file}`)
  }
}

/** The workspace of a sample. A scenario with scorers of files has one, or its suite was not valid. */
export function workspaceOf({ workspace }: Evidence): string {
  if (workspace === undefined) throw new ScoringFault('the sample has no workspace')
  return workspace.endsWith(sep) ? workspace.slice(0, -1) : workspace
}

const isAbsence = (error: unknown): boolean =>
  error instanceof Error &&
  'code' in error &&
  ['ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP', 'ENAMETOOLONG', 'ENXIO'].includes(String(error.code))

function firstDifference(is: string, expected: string): string {
  const [a, b] = [is.split('\n'), expected.split('\n')]
  const line = a.findIndex((text, index) => text !== b[index])
  return `in line ${(line === -1 ? a.length : line) + 1}`
}
