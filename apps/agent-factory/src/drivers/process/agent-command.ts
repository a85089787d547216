import { execFile } from 'node:child_process'
import { statSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { promisify } from 'node:util'
import type { ProcessDriverConfig } from '../config.ts'
import { LaunchRefused } from '../driver.ts'
import type { Launch } from '../driver.ts'
import { codeOf, unless } from '../errors.ts'

const run = promisify(execFile)
const MIB = 1024 * 1024
/** The part of the memory that V8 may use for its objects; the rest is for its code, buffers and everything else. */
const HEAP_PART = 0.75
const SETPRIV = '/usr/bin/setpriv'
/** Nothing that it starts gains rights (a setuid program), and it dies with its keeper. */
const SETPRIV_ARGS = ['--no-new-privs', '--pdeathsig', 'KILL', '--']

/**
 * The file that a launch runs.
 *
 * @throws {LaunchRefused} when it cannot be found
 */
export function entryFile(entry: Launch['entry'], modulesFrom: readonly string[]): string {
  if ('image' in entry) throw new LaunchRefused('the process driver runs a module or a path, not an image')
  if ('path' in entry) {
    const stats = unless(['ENOENT', 'ENOTDIR', 'EACCES'], () => statSync(entry.path))
    if (stats?.isFile() !== true) throw new LaunchRefused(`${entry.path} is no file`)
    return entry.path
  }
  for (const folder of modulesFrom) {
    const file = resolveModule(entry.module, folder)
    if (file !== undefined) return file
  }
  throw new LaunchRefused(`the module ${entry.module} is not installed in ${modulesFrom.join(' or ') || '(no folder)'}`)
}

/** Program and arguments, with Node as it runs the factory. */
export async function agentCommand(
  launch: Launch,
  file: string,
  nodeArgs: ProcessDriverConfig['nodeArgs'] = conditionsOf(process.execArgv),
): Promise<[string, ...string[]]> {
  const heap = `--max-old-space-size=${Math.max(16, Math.floor((launch.memoryBytes / MIB) * HEAP_PART))}`
  const node = [process.execPath, heap, ...nodeArgs, file, ...launch.args] as const
  return (await hasSetpriv()) ? [SETPRIV, ...SETPRIV_ARGS, ...node] : [...node]
}

/** What decides which file a package means, and so must be the same for the agent. */
function conditionsOf(execArgv: readonly string[]): string[] {
  return execArgv.flatMap((arg, index) => {
    if (/^(--conditions|-C)=/.test(arg)) return [arg]
    return /^(--conditions|-C)$/.test(arg) ? [arg, execArgv[index + 1] ?? ''] : []
  })
}

function resolveModule(name: string, folder: string): string | undefined {
  try {
    return createRequire(path.join(folder, 'package.json')).resolve(name)
  } catch (error) {
    if (codeOf(error) === 'MODULE_NOT_FOUND') return undefined
    throw new LaunchRefused(`the module ${name} in ${folder} names no file that can be run`, { cause: error })
  }
}

let setpriv: Promise<boolean> | undefined
/** It is there on most Linux systems, but older ones lack an option. */
function hasSetpriv(): Promise<boolean> {
  setpriv ??= run(SETPRIV, [...SETPRIV_ARGS, '/bin/true'], { env: {}, timeout: 5000 }).then(
    () => true,
    () => false,
  )
  return setpriv
}
