import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { inFolder, readRecord } from './launch-folder.ts'
import { isAlive } from './processes.ts'

const BEGUN_WITHIN_MS = 15_000
const LOOK_EVERY_MS = 10
/** It passes lines on to files and needs little. */
const ARGS = ['--max-old-space-size=32', '--max-semi-space-size=1']
// In source and in dist this module stands beside the program, each with its own ending.
const PROGRAM = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? './keeper.ts' : './keeper.js', import.meta.url))

/** What became of a keeper that we started, as far as it failed. */
export interface Keeper {
  failure(): Error | undefined
}

/**
 * Starts one that outlives us and inherits nothing. That another one may have claimed the launch is fine. What Node has
 * compiled of it is kept in `cacheFolder`, which makes the next start four times faster from sources.
 */
export function startKeeper(folder: string, cacheFolder: string): Keeper {
  let failure: (() => Error) | undefined
  const errors = openSync(inFolder(folder).keeperErrors, 'a', 0o600)
  const keeper = spawn(process.execPath, [...ARGS, PROGRAM, folder], {
    cwd: '/',
    env: { NODE_COMPILE_CACHE: cacheFolder },
    detached: true,
    stdio: ['ignore', 'ignore', errors],
  })
  closeSync(errors)
  keeper.once('error', (error) => {
    failure = () => error
  })
  keeper.once('exit', (code) => {
    // The words are read only by whoever still waits for it: later, the folder may be gone.
    if (code !== 0) failure = () => new Error(`the keeper in ${folder} failed: ${lastWords(folder)}`)
  })
  keeper.unref()
  return { failure: () => failure?.() }
}

const lastWords = (folder: string): string => readFileSync(inFolder(folder).keeperErrors, 'utf8').slice(-2000)

/** Whether there is, or was, an agent; also when its keeper died before it could start one. */
export function hasBegun(folder: string): boolean {
  if (readRecord(folder, 'agent.json') !== undefined || readRecord(folder, 'exit.json') !== undefined) return true
  const claim = readRecord(folder, 'claim.json')
  return claim !== undefined && !isAlive(claim)
}

/** @throws when the keeper fails, or after 15 s, or the reason of `signal` */
export async function waitBegun(folder: string, signal: AbortSignal, keeper?: Keeper): Promise<void> {
  const deadline = performance.now() + BEGUN_WITHIN_MS
  while (!hasBegun(folder)) {
    signal.throwIfAborted()
    const failure = keeper?.failure()
    if (failure !== undefined) throw failure
    if (performance.now() > deadline) throw new Error(`the keeper in ${folder} starts nothing`)
    await sleep(LOOK_EVERY_MS)
  }
}
