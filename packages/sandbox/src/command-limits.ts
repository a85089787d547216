import { realpathSync, statSync } from 'node:fs'
import path from 'node:path'
import { codeOf } from './errors.ts'
import type { SandboxCommand } from './sandbox.ts'

export interface Limits {
  readonly timeoutMs: number
  readonly memoryBytes: number
  readonly processesMax: number
  readonly fileBytesMax: number
  readonly outputMaxBytes: number
}

const MIB = 1024 * 1024
const TIMER_MAX_MS = 2 ** 31 - 1

/** Hiding one of these would break the sandbox, and a command must not write to what the next one runs. */
const SYSTEM_FOLDERS = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32', '/etc', '/dev', '/proc', '/sys']

/**
 * The limits of a command, with the defaults filled in.
 *
 * @throws {RangeError} for everything in the command that could not be run as it is meant
 */
export function checkCommand(command: SandboxCommand): Limits {
  const { argv, workspace, readOnly = [], env = {} } = command
  if (argv[0] === '') throw new RangeError('argv: names no program')
  for (const [name, text] of [...argv.entries(), ...Object.entries(env)]) {
    if (text.includes('\0')) throw new RangeError(`${typeof name === 'number' ? `argv[${name}]` : name}: holds a NUL`)
  }
  const badName = Object.keys(env).find((name) => !/^[A-Za-z_]\w*$/.test(name))
  if (badName !== undefined) throw new RangeError(`env: ${JSON.stringify(badName)} is no name of a variable`)
  checkWorkspace(workspace)
  for (const entry of readOnly) checkRealPath('readOnly', entry)
  return {
    timeoutMs: positive('timeoutMs', command.timeoutMs, TIMER_MAX_MS),
    memoryBytes: positive('memoryBytes', command.memoryBytes ?? 2048 * MIB),
    processesMax: positive('processesMax', command.processesMax ?? 256),
    fileBytesMax: positive('fileBytesMax', command.fileBytesMax ?? 256 * MIB),
    outputMaxBytes: positive('outputMaxBytes', command.outputMaxBytes ?? MIB),
  }
}

function checkWorkspace(workspace: string): void {
  checkRealPath('workspace', workspace)
  if (!statSync(workspace).isDirectory()) throw new RangeError(`workspace: ${workspace} is no folder`)
  const clash = SYSTEM_FOLDERS.find((folder) => isWithin(folder, workspace) || isWithin(workspace, folder))
  if (clash !== undefined) throw new RangeError(`workspace: ${workspace} and ${clash} overlap`)
}

// A link on the way could have been put there by an earlier command, and would let this one see where it points.
function checkRealPath(name: string, entry: string): void {
  if (realPath(entry) !== entry) throw new RangeError(`${name}: ${entry} is not the real path of something that exists`)
}

function realPath(entry: string): string | undefined {
  try {
    return realpathSync(entry)
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES', 'ERR_INVALID_ARG_VALUE'].includes(codeOf(error) ?? ''))
      return undefined
    throw error
  }
}

function isWithin(inner: string, outer: string): boolean {
  return inner === outer || inner.startsWith(outer.endsWith(path.sep) ? outer : outer + path.sep)
}

function positive(name: string, value: number, max = Number.MAX_SAFE_INTEGER): number {
  if (!Number.isSafeInteger(value) || value < 1 || value > max) {
    throw new RangeError(`${name}: ${value} is no whole number from 1 to ${max}`)
  }
  return value
}
