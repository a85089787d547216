import { RejectedError } from '@hypercode/base-agent'
import type { TaskContext } from '@hypercode/base-agent'
import type { CoderOptions } from '../coder-options.ts'
import type { VerifyInput, VerifyOutput } from '../schemas.ts'
import { Policy } from '../tools/policy.ts'
import { runCommand } from '../tools/run-command.ts'
import type { ToolAnswer, ToolScope } from '../tools/tool.ts'
import type { BaseRepository } from '../workspace/base-repository.ts'
import { Refused } from '../workspace/refused.ts'
import { patchFault } from './patch-fault.ts'
import { withWorkspace } from './with-workspace.ts'

/**
 * `code.verify`: runs the command of a `verify: { kind: command }` on the patch that the verified task has stored. It passes when the
 * command ends with 0. It asks no model. A command that this coder does not run, or has no sandbox for, is refused for good.
 */
export async function verify(
  ctx: TaskContext,
  options: CoderOptions,
  base: BaseRepository,
  { command, task, input: { root, policy: asked } }: VerifyInput,
): Promise<VerifyOutput> {
  const { sandbox, commandMaxMs } = options
  if (sandbox === undefined) throw new RejectedError('no sandbox on this machine, so no command can be run')
  const { bytes } = await ctx.readArtifact(task, 'patch.diff')
  return await withWorkspace(ctx, base, root, options.snapshot, async (workspace) => {
    const fault = await patchFault(workspace, bytes)
    if (fault !== undefined) return { passed: false, reason: fault }
    const policy = new Policy(['run_command'], asked)
    const { text, command: ran } = await confined(command, {
      workspace,
      policy,
      sandbox,
      signal: ctx.signal,
      commandMaxMs,
    })
    return { passed: ran?.exitCode === 0, reason: `${command.join(' ')}: ${text}` }
  })
}

async function confined(argv: readonly string[], scope: ToolScope): Promise<ToolAnswer> {
  try {
    return await runCommand.call({ argv, timeoutMs: Math.min(TIMEOUT_MAX_MS, scope.commandMaxMs) }, scope)
  } catch (error) {
    if (error instanceof Refused) throw new RejectedError(error.message, undefined, { cause: error })
    throw error
  }
}

const TIMEOUT_MAX_MS = 600_000
