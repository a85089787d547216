import { TerminalError } from '@hypercode/base-agent'
import type { TaskContext } from '@hypercode/base-agent'
import type { CoderOptions } from '../coder-options.ts'
import { Review } from '../schemas.ts'
import type { ReviewInput, ReviewOutput } from '../schemas.ts'
import { boundedText } from '../tools/bounded-text.ts'
import type { BaseRepository } from '../workspace/base-repository.ts'
import { filePath } from '../workspace/tree-path.ts'
import type { Workspace } from '../workspace/workspace.ts'
import { handIn, placeFaults } from './hand-in.ts'
import { patchFault } from './patch-fault.ts'
import { REVIEW, aboutSnapshot } from './prompts.ts'
import { runSkill } from './run-skill.ts'
import { withWorkspace } from './with-workspace.ts'

/** `code.review`: judges a patch, applied to a workspace of its own. One that does not apply needs no model to be refused. */
export async function review(
  ctx: TaskContext,
  options: CoderOptions,
  base: BaseRepository,
  input: ReviewInput,
): Promise<ReviewOutput> {
  const patch = await patchOf(ctx, input)
  return await withWorkspace(ctx, base, input.root, options.snapshot, async (workspace, snapshot) => {
    const fault = await patchFault(workspace, patch)
    if (fault !== undefined) return unusable(fault)
    const handedIn = handIn('submit_review', 'Hands in your review, which ends the task.', Review, reviewFaults)
    const { usage } = await runSkill(ctx, options, workspace, input, {
      system: REVIEW,
      task: [
        input.instruction === undefined ? 'Review this patch.' : `The patch was asked for with: ${input.instruction}`,
        aboutSnapshot(snapshot),
        `The patch:\n${boundedText(patch.toString('utf8'), PATCH_SHOWN_CHARS)}`,
      ].join('\n\n'),
      tools: ['list_files', 'search', 'read_file', 'run_command'],
      handIn: handedIn.tool,
      isDone: handedIn.isDone,
    })
    return { ...handedIn.result(), usage }
  })
}

async function patchOf(ctx: TaskContext, { patch, patchFrom }: ReviewInput): Promise<Buffer> {
  if (patch !== undefined && patchFrom === undefined) return Buffer.from(patch)
  if (patch === undefined && patchFrom !== undefined) {
    return (await ctx.readArtifact(patchFrom.task, patchFrom.artifact ?? 'patch.diff')).bytes
  }
  throw new TerminalError('the task names no patch, or two', 'give either patch or patchFrom', {
    code: 'input_invalid',
  })
}

function unusable(message: string): ReviewOutput {
  const usage = { turns: 0, inputTokens: 0, outputTokens: 0, usd: 0, ms: 0, estimated: false }
  return { approved: false, findings: [{ severity: 'blocker', message }], summary: message, usage }
}

async function reviewFaults({ approved, findings }: Review, workspace: Workspace): Promise<string[]> {
  const faults: string[] = []
  if (approved && findings.some(({ severity }) => severity === 'blocker')) {
    faults.push('a patch with a blocker cannot be approved')
  }
  const gone = new Set((await workspace.changedFiles()).flatMap(({ path, kind }) => (kind === undefined ? [path] : [])))
  for (const { path, line } of findings) {
    if (path === undefined || gone.has(path)) continue
    faults.push(...(await placeFaults(workspace, filePath(path), line === undefined ? [] : [line])))
  }
  return faults
}

const PATCH_SHOWN_CHARS = 120_000
