import { execFile } from 'node:child_process'
import { copyFile, lstat, mkdir, readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { TerminalError } from '@hypercode/base-agent'
import type { Inventory } from './audit/index.ts'

/** Copies are read by the tasks that follow; after a day nobody does any more. */
const KEEP_MS = 86_400_000
const GIT_MS = 60_000

/**
 * Copies the files of an inventory into `folder`/`name` and applies a patch to them. What the inventory left out is not there, except
 * what the patch itself changes; so an audit of the copy looks at the same files as one of the repository.
 *
 * @throws {TerminalError} when the patch does not apply
 */
export async function patchedCopy(
  { root, files }: Inventory,
  patch: Buffer,
  { folder, name, signal }: { readonly folder: string; readonly name: string; readonly signal: AbortSignal },
): Promise<string> {
  await forgetOld(folder)
  const copy = path.join(folder, name)
  await rm(copy, { recursive: true, force: true })
  await mkdir(copy, { recursive: true })
  try {
    // Without ignore files: everything in the copy was chosen already.
    const wanted = new Set(files.map((file) => file.path).filter((file) => path.basename(file) !== '.gitignore'))
    if (patch.length > 0) for (const file of await changedBy(copy, patch, signal)) wanted.add(file)
    for (const file of wanted) {
      signal.throwIfAborted()
      await copyPlain(path.join(root, file), path.join(copy, file))
    }
    if (patch.length > 0) await git(copy, ['apply', '--whitespace=nowarn'], patch, signal)
    return copy
  } catch (error) {
    await rm(copy, { recursive: true, force: true })
    throw error
  }
}

/** Paths that a patch names, below the folder that it is for. */
async function changedBy(cwd: string, patch: Buffer, signal: AbortSignal): Promise<string[]> {
  const listed = await git(cwd, ['apply', '--numstat', '-z'], patch, signal)
  return listed.split('\0').flatMap((line) => {
    const file = line.split('\t')[2]
    return file === undefined || file === '' || path.isAbsolute(file) || file.split('/').includes('..') ? [] : [file]
  })
}

/** Links are not followed and not copied, and a file that the patch makes is not there yet. */
async function copyPlain(from: string, to: string): Promise<void> {
  const found = await lstat(from).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
    throw error
  })
  if (found?.isFile() !== true) return
  await mkdir(path.dirname(to), { recursive: true })
  await copyFile(from, to)
}

/** Git alone: without the configuration of anybody, and without looking for a repository around the copy. */
async function git(cwd: string, args: readonly string[], input: Buffer, signal: AbortSignal): Promise<string> {
  return await new Promise((resolve, reject) => {
    const env = {
      PATH: SYSTEM_PATH,
      GIT_CEILING_DIRECTORIES: path.dirname(cwd),
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
    }
    const child = execFile('git', [...args], { cwd, env, signal, timeout: GIT_MS }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout)
      else if (signal.aborted) reject(signal.reason as Error)
      else
        reject(
          new TerminalError('the patch does not apply', stderr.slice(0, 2000) || error.message, {
            code: 'patch_invalid',
            cause: error,
          }),
        )
    })
    child.stdin?.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') reject(error) // git says itself why it does not read on
    })
    child.stdin?.end(input)
  })
}

const SYSTEM_PATH = '/usr/local/bin:/opt/homebrew/bin:/usr/bin:/bin'

async function forgetOld(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (const name of await readdir(folder)) {
    const entry = path.join(folder, name)
    if (Date.now() - (await lstat(entry)).mtimeMs > KEEP_MS) await rm(entry, { recursive: true, force: true })
  }
}
