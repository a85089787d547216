import { spawn } from 'node:child_process'
import { toolEnvironment } from './environment.ts'
import { StackError } from './errors.ts'

export interface ToolOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  readonly timeoutMs?: number
  /** Ends the program when it is aborted. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Runs a program of the machine to its end and answers what it printed. Bounded, so that a mirror or an engine that
 * hangs cannot hang us.
 *
 * @throws {StackError} with the program's last words when it fails or is not there
 */
export async function runTool(program: string, args: readonly string[], options: ToolOptions = {}): Promise<string> {
  const { cwd = '/', env = {}, timeoutMs = 240_000, signal } = options
  return await new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd,
      env: toolEnvironment({ LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive', ...env }),
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: timeoutMs,
      ...(signal === undefined ? {} : { signal }),
    })
    let output = ''
    let complaints = ''
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (complaints += chunk.toString()))
    child.once('error', (error) => reject(new StackError(`${program} could not be run: ${error.message}`)))
    child.once('close', (code, killedBy) => {
      if (code === 0) return resolve(output)
      const words = (complaints || output).trim().split('\n').slice(-3).join(' / ')
      reject(new StackError(`${program} ${args.at(0) ?? ''} failed (${killedBy ?? code}): ${words}`))
    })
  })
}

/** Whether the program can be run and says yes; never throws. */
export async function toolWorks(program: string, args: readonly string[], timeoutMs = 10_000): Promise<boolean> {
  return await runTool(program, args, { timeoutMs }).then(
    () => true,
    () => false,
  )
}
