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
      ...(signal === undefined ? {} : { signal }),
    })
    const chunks: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.once('error', reject)
    child.once('close', (code) => resolve({ ok: code === 0, output: Buffer.concat(chunks).toString().trim() }))
  })
}

/** Compiles every package and service into its `dist`; a moment when nothing has changed. */
export async function buildAll(root: string, signal: AbortSignal): Promise<void> {
  const { ok, output } = await runTool(root, 'tsc', ['-b'], signal)
  if (!ok) throw new UserError(`the build failed:\n${output}`, 1)
}
