import type { TaskContext } from '@hypercode/base-agent'
import { ARTIFACT_MAX_BYTES } from '@hypercode/contracts'
import type { CommandRun, ToolAnswer } from '../tools/tool.ts'
import { Refused } from '../workspace/refused.ts'
import type { Change, Workspace } from '../workspace/workspace.ts'

/** What the journal holds of a tool call: enough to stand where it stood after it, without doing it again. */
export interface CallRecord {
  readonly text: string
  /** The call was refused; `input` means that it made no sense. */
  readonly refused?: 'input' | 'policy'
  readonly change?: RecordedChange
  readonly command?: CommandRun
  readonly ms: number
}

/** A change, or where it is when it is too large for the journal. */
export type RecordedChange =
  | Change
  | { readonly tree: string; readonly artifact: string; readonly encoding: Change['encoding'] }

/**
 * Makes a change recordable; one of more than `maxBytes` becomes an artifact of the task.
 * @throws {Refused} when it is larger than an artifact may be; the workspace then stands where it stood before
 */
export async function recordChange(
  ctx: TaskContext,
  workspace: Workspace,
  name: string,
  { change }: ToolAnswer,
  { before, maxBytes }: { readonly before: string; readonly maxBytes: number },
): Promise<RecordedChange | undefined> {
  if (change === undefined || change.diff === '') return undefined
  const { tree, diff, encoding } = change
  const bytes = Buffer.byteLength(JSON.stringify(diff))
  if (bytes <= maxBytes) return change
  if (bytes > ARTIFACT_MAX_BYTES) {
    await workspace.goBack(before)
    throw new Refused(`undone: the change of ${bytes} bytes is larger than ${ARTIFACT_MAX_BYTES}`)
  }
  const artifact = `change-${name.replaceAll(/[^A-Za-z0-9]+/g, '-')}.diff`
  await ctx.artifact(artifact, diff, 'text/x-diff')
  return { tree, artifact, encoding }
}

export async function recordedChange(ctx: TaskContext, change: RecordedChange): Promise<Change> {
  if ('diff' in change) return change
  const { tree, encoding, artifact } = change
  return { tree, encoding, diff: (await ctx.readArtifact(ctx.key, artifact)).text() }
}
