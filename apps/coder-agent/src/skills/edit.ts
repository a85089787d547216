import type { TaskContext } from '@hypercode/base-agent'
import type { CoderOptions } from '../coder-options.ts'
import type { CallRecord } from '../model/call-record.ts'
import type { Turn } from '../model/turn.ts'
import type { EditInput, EditOutput } from '../schemas.ts'
import { TOOL_NAMES } from '../tools/policies.ts'
import { boundedText } from '../tools/bounded-text.ts'
import type { CommandRun } from '../tools/tool.ts'
import type { BaseRepository } from '../workspace/base-repository.ts'
import { EDIT, aboutSnapshot } from './prompts.ts'
import { runSkill } from './run-skill.ts'
import { storePatch } from './store-patch.ts'
import { withWorkspace } from './with-workspace.ts'

/** `code.edit`: changes the repository in a workspace; the result is a patch for the tree of the user. */
export async function edit(
  ctx: TaskContext,
  options: CoderOptions,
  base: BaseRepository,
  input: EditInput,
): Promise<EditOutput> {
  return await withWorkspace(ctx, base, input.root, options.snapshot, async (workspace, snapshot) => {
    const outputs: string[] = []
    const commands: CommandRun[] = []
    const { turn, usage } = await runSkill(ctx, options, workspace, input, {
      system: EDIT,
      task: `${input.instruction}\n\n${aboutSnapshot(snapshot)}`,
      tools: TOOL_NAMES,
      isDone,
      onCall: (_, { command, text }: CallRecord) => {
        if (command === undefined) return
        commands.push(command)
        outputs.push(`$ ${command.argv.join(' ')}\n${text}\n`)
      },
    })
    await storePatch(ctx, await workspace.fullDiff())
    await ctx.artifact('summary.md', turn.text, 'text/markdown')
    if (outputs.length > 0) await ctx.artifact('test-output.txt', boundedText(outputs.join('\n'), OUTPUTS_MAX))
    const files = (await workspace.changedFiles()).map(({ path, kind }) => ({
      path,
      change: kind === undefined ? ('deleted' as const) : ('written' as const),
    }))
    return {
      summary: turn.text.slice(0, SUMMARY_MAX).toWellFormed(),
      changed: workspace.changed,
      fileCount: files.length,
      files: files.slice(0, LISTED_MAX),
      commands: commands.slice(-LISTED_MAX).map(({ argv, exitCode, timedOut, durationMs }) => ({
        command: boundedText(argv.join(' '), COMMAND_MAX),
        exitCode,
        timedOut,
        durationMs,
      })),
      usage,
    }
  })
}

const isDone = ({ calls, finish, text }: Turn): true | string =>
  calls.length === 0 && finish === 'stop' && text.trim() !== ''
    ? true
    : 'Go on, or say in a few sentences what you have changed if you are done.'

/** An output is small: what is longer stands in the artifacts. */
const LISTED_MAX = 200
const COMMAND_MAX = 300
const SUMMARY_MAX = 8000
const OUTPUTS_MAX = 2_000_000
