import { cp, lstat, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import type { Stats } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { durationMs } from '@hypercode/contracts'
import type { SandboxResult } from '@hypercode/sandbox'
import { workspaceOf } from './file-scorers.ts'
import { ScoringFault } from './scorer.ts'
import type { ScorerOf } from './scorer.ts'
import { right, wrong } from './value-scorers.ts'

const TIMEOUT_MS = 60_000
/** What of a command's output is kept for its detail. */
const TAIL_CHARS = 1500

/**
 * Runs a command over what the agent left, in the sandbox or not at all. Each command has a copy of its own, so that code of the agent,
 * which may run in it, changes nothing for the scorers after it. `files` (hidden tests) are written over whatever the agent put there.
 */
export const command: ScorerOf<'command'> = async (evidence, scorer, { sandbox, signal }) => {
  if (sandbox === undefined) throw new ScoringFault('commands cannot be scored: there is no sandbox on this machine')
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'gym-command-')))
  try {
    const workspace = join(folder, 'workspace')
    await cp(workspaceOf(evidence), workspace, { recursive: true, verbatimSymlinks: true })
    for (const [file, content] of Object.entries(scorer.files ?? {})) await putFile(workspace, file, content)
    const result = await sandbox.run({
      argv: scorer.argv as [string, ...string[]],
      workspace,
      timeoutMs: scorer.timeout === undefined ? TIMEOUT_MS : durationMs(scorer.timeout),
      outputMaxBytes: 64 * 1024,
      signal,
    })
    return result.exitCode === (scorer.exitCode ?? 0) ? right() : wrong(describe(scorer.argv, result))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** The agent may have left a link or a folder in the way: whatever is not a plain folder on the path is taken away first. */
async function putFile(workspace: string, file: string, content: string): Promise<void> {
  const path = join(workspace, file)
  await clearWay(workspace, dirname(file))
  await rm(path, { recursive: true, force: true })
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, content)
}

async function clearWay(workspace: string, folder: string): Promise<void> {
  const parts = folder === '.' ? [] : folder.split('/')
  for (const [index] of parts.entries()) {
    const path = join(workspace, ...parts.slice(0, index + 1))
    const stat = await lstatIfThere(path)
    if (stat !== undefined && !stat.isDirectory()) await rm(path)
  }
}

function describe(argv: readonly string[], { exitCode, signal, timedOut, stdout, stderr }: SandboxResult): string {
  const end = timedOut
    ? 'took too long'
    : exitCode === null
      ? `was ended by ${signal ?? 'a signal'}`
      : `exited with ${exitCode}`
  const said = `${stdout}\n${stderr}`.trim().slice(-TAIL_CHARS).toWellFormed()
  return `${argv.join(' ')} ${end}${said === '' ? '' : `:\n${said}`}`
}

async function lstatIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
