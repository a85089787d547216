import { spawn } from 'node:child_process'
import { UserError } from './user-error.ts'

/** Output and exit code of a tool of this repository, run on the PATH that the bootstrap made. */
export interface ToolResult {
  readonly ok: boolean
  readonly output: string
}

export async function runTool(
  root: string,
  program: string,
  args: readonly string[],
  signal?: AbortSignal,
): Promise<ToolResult> {
  return await new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      // The compiler finishes its work after a SIGTERM; what it has half written it writes again the next time.
      ...(signal === undefined ? {} : { signal, killSignal: 'SIGKILL' as const }),
    })
    const chunks: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk))
    let fault: Error | undefined
    child.once('error', (error) => {
      fault = error
      if (child.pid === undefined) reject(error) // it never ran
    })
    // Not before it is gone: whoever stops us must find nothing running.
    child.once('close', (code) => {
      if (fault === undefined) resolve({ ok: code === 0, output: Buffer.concat(chunks).toString().trim() })
      else reject(fault)
    })
  })
}

/** Compiles every package and service into its `dist`; a moment when nothing has changed. */
export async function buildAll(root: string, signal: AbortSignal): Promise<void> {
  const { ok, output } = await runTool(root, 'tsc', ['-b'], signal)
  if (!ok) throw new UserError(`the build failed:\n${output}`, 1)
}
