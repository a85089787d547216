import { SandboxUnavailable } from '@hypercode/sandbox'
import type { Sandbox, SandboxResult } from '@hypercode/sandbox'
import { Type } from '@sinclair/typebox'
import { Refused } from '../workspace/refused.ts'
import { boundedText } from './bounded-text.ts'
import { defineTool } from './tool.ts'
import type { ToolScope } from './tool.ts'

export const runCommand = defineTool({
  name: 'run_command',
  description:
    'Runs a program on the files as they are now, without network, and answers exit code and output. No shell: the program and ' +
    'each argument stand on their own. Files that git ignores are no part of the result.',
  input: Type.Object(
    {
      argv: Type.Array(Type.String({ maxLength: 4096, pattern: '^[^\\u0000]*$' }), { minItems: 1, maxItems: 64 }),
      timeoutMs: Type.Optional(Type.Integer({ minimum: 100, maximum: 600_000, description: 'default 120000' })),
    },
    { additionalProperties: false },
  ),
  async run({ argv, timeoutMs = 120_000 }, scope) {
    const { workspace, policy, sandbox } = scope
    policy.assertCommand(argv)
    if (argv.join(' ').length > LINE_MAX) throw new Refused(`a command line has at most ${LINE_MAX} characters`)
    if (sandbox === undefined) throw new Refused(NO_SANDBOX)
    const { result, change, undone } = await workspace.onDisk(
      async (folder) => await confined(sandbox, argv, folder, Math.min(timeoutMs, scope.commandMaxMs), scope),
      policy.judge('run_command'),
    )
    const { exitCode, timedOut, durationMs } = result
    const notes = undone.length === 0 ? [] : ['', 'Undone, since it is not allowed:', ...undone]
    return {
      text: [describe(result), ...notes].join('\n'),
      change,
      command: { argv, exitCode, timedOut, durationMs: Math.round(durationMs) },
    }
  },
})

async function confined(
  sandbox: Sandbox,
  argv: readonly string[],
  workspace: string,
  timeoutMs: number,
  { signal }: ToolScope,
): Promise<SandboxResult> {
  const [program = '', ...rest] = argv
  try {
    return await sandbox.run({
      argv: [program, ...rest],
      workspace,
      env: { CI: '1', NO_COLOR: '1' },
      timeoutMs,
      fileBytesMax: FILE_MAX_BYTES,
      outputMaxBytes: OUTPUT_MAX_BYTES,
      signal,
    })
  } catch (error) {
    if (error instanceof SandboxUnavailable) throw new Refused(NO_SANDBOX)
    throw error
  }
}

function describe({ exitCode, signal, timedOut, exceeded, stdout, stderr }: SandboxResult): string {
  const end = timedOut
    ? 'ended: it took too long'
    : exceeded !== undefined
      ? `ended: too much ${exceeded === 'memory' ? 'memory' : 'processes'}`
      : signal === null
        ? `exit code ${exitCode ?? 'unknown'}`
        : `ended by ${signal}`
  const parts = [end]
  if (stdout !== '') parts.push('', 'stdout:', boundedText(stdout, TEXT_MAX))
  if (stderr !== '') parts.push('', 'stderr:', boundedText(stderr, TEXT_MAX))
  return parts.join('\n')
}

const NO_SANDBOX = 'no sandbox on this machine, so no command can be run; go on without'
const LINE_MAX = 20_000
const OUTPUT_MAX_BYTES = 1024 * 1024
const FILE_MAX_BYTES = 64 * 1024 * 1024
const TEXT_MAX = 16_000
