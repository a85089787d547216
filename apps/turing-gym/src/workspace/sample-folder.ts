import { chmod, lstat, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'

/**
 * The folder of one try of a sample: `<base>/<run>/<sample>-<try>/work` with the files of its scenario. Agents run under another user than
 * the gym, so the innermost folder is open to all; the ones around it can be passed but not listed, and their names cannot be guessed.
 */
export interface SampleFolder {
  /** What the agent is told. */
  readonly work: string
  /** Where a copy is scored; the gym's alone. */
  readonly scored: string
  remove(): Promise<void>
}

const PASSABLE = 0o711
const OPEN = 0o777
const OPEN_FILE = 0o666

export const runFolder = (base: string, runId: string): string => path.join(base, runId)

export function sampleFolder(base: string, runId: string, sampleId: string, attempt: number): SampleFolder {
  const folder = path.join(runFolder(base, runId), `${sampleId}-${attempt}`)
  return {
    work: path.join(folder, 'work'),
    scored: path.join(folder, 'scored'),
    remove: async () => await rm(folder, { recursive: true, force: true }),
  }
}

/** Makes the folder with its files. One that is there is left as it is: the agent may be at work in it. */
export async function layOut(
  base: string,
  { work }: SampleFolder,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  if (await isThere(work)) return
  const folder = path.dirname(work)
  await makeFolder(base, path.dirname(folder), PASSABLE)
  // Filled under another name, so that a folder that is there is whole.
  const draft = `${work}.draft`
  await makeFolder(base, folder, PASSABLE)
  await rm(draft, { recursive: true, force: true })
  await makeFolder(folder, draft, OPEN)
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(draft, name)
    await makeFolder(draft, path.dirname(file), OPEN)
    await writeFile(file, content)
    await chmod(file, OPEN_FILE)
  }
  await rename(draft, work)
}

/** Whatever the umask says. `top` exists. */
async function makeFolder(top: string, folder: string, mode: number): Promise<void> {
  if (folder === top) return
  await makeFolder(top, path.dirname(folder), mode)
  await mkdir(folder, { recursive: true })
  await chmod(folder, mode)
}

export async function isThere(file: string): Promise<boolean> {
  try {
    await lstat(file)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false
    throw error
  }
}
