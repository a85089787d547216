import { spawn } from 'node:child_process'
import { copyFile, lstat, mkdir, opendir, rm } from 'node:fs/promises'
import path from 'node:path'

/** What the agent left cannot be looked at, and that is the agent's doing. */
export class WorkspaceFault extends Error {
  override readonly name = 'WorkspaceFault'
}

/** A workspace that is larger was filled on purpose. */
const FILES_MAX = 20_000
const BYTES_MAX = 512 * 1024 ** 2
const DEPTH_MAX = 64

/**
 * Copies plain files and folders of `from` to a new folder `to`: no link that the agent made leads a scorer somewhere else.
 *
 * @throws {WorkspaceFault} when there is more than anybody could have meant
 */
export async function copyWorkspace(from: string, to: string): Promise<void> {
  await rm(to, { recursive: true, force: true })
  const left = { files: FILES_MAX, bytes: BYTES_MAX }
  await copyFolder(from, to, left, 0)
}

async function copyFolder(
  from: string,
  to: string,
  left: { files: number; bytes: number },
  depth: number,
): Promise<void> {
  if (depth > DEPTH_MAX) throw new WorkspaceFault(`the workspace is nested more than ${DEPTH_MAX} levels deep`)
  await mkdir(to)
  for await (const entry of await opendir(from)) {
    const [source, target] = [path.join(from, entry.name), path.join(to, entry.name)]
    if (entry.isDirectory()) await copyFolder(source, target, left, depth + 1)
    if (!entry.isFile()) continue
    left.files -= 1
    left.bytes -= (await lstat(source)).size
    if (left.files < 0 || left.bytes < 0)
      throw new WorkspaceFault('the agent left more files, or larger ones, than a workspace may hold')
    await copyFile(source, target)
  }
}

const GIT_MS = 30_000
const GIT_PATH = '/usr/local/bin:/opt/homebrew/bin:/usr/bin:/bin'
const WORDS_MAX = 2000

/**
 * Applies a patch to a folder. Git itself refuses paths that lead out of it; links are written as plain files.
 *
 * @throws {WorkspaceFault} when it does not apply
 */
export async function applyPatch(folder: string, patch: Uint8Array): Promise<void> {
  if (patch.length === 0) return
  const { code, words } = await git(folder, ['-c', 'core.symlinks=false', 'apply', '--whitespace=nowarn', '-'], patch)
  if (code !== 0) throw new WorkspaceFault(`the patch does not apply: ${words.trim()}`)
}

async function git(
  folder: string,
  args: readonly string[],
  input: Uint8Array,
): Promise<{ code: number | null; words: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ code: number | null; words: string }>()
  const child = spawn('git', args, {
    cwd: folder,
    // Nothing of the machine's git, and no repository around the folder, has a say.
    env: {
      PATH: GIT_PATH,
      HOME: folder,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CEILING_DIRECTORIES: path.dirname(folder),
      LC_ALL: 'C',
    },
    stdio: ['pipe', 'ignore', 'pipe'],
    timeout: GIT_MS,
    killSignal: 'SIGKILL',
  })
  let words = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words = `${words}${text}`.slice(0, WORDS_MAX)
  })
  child.once('error', reject)
  child.once('close', (code) => resolve({ code, words }))
  // A git that ends early closes its input; its exit code says why.
  child.stdin.on('error', (error) => {
    words = `${words}${error.message}`.slice(0, WORDS_MAX)
  })
  child.stdin.end(input)
  return await promise
}
