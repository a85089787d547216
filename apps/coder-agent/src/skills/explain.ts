import type { TaskContext } from '@hypercode/base-agent'
import type { CoderOptions } from '../coder-options.ts'
import { Explanation } from '../schemas.ts'
import type { ExplainInput, ExplainOutput, Reference } from '../schemas.ts'
import type { BaseRepository } from '../workspace/base-repository.ts'
import { filePath } from '../workspace/tree-path.ts'
import type { Workspace } from '../workspace/workspace.ts'
import { handIn, placeFaults } from './hand-in.ts'
import { EXPLAIN, aboutSnapshot } from './prompts.ts'
import { runSkill } from './run-skill.ts'
import { withWorkspace } from './with-workspace.ts'

/** `code.explain`: answers a question about the code, with places in it that exist. */
export async function explain(
  ctx: TaskContext,
  options: CoderOptions,
  base: BaseRepository,
  input: ExplainInput,
): Promise<ExplainOutput> {
  return await withWorkspace(ctx, base, input.root, options.snapshot, async (workspace, snapshot) => {
    const handedIn = handIn('submit_answer', 'Hands in your answer, which ends the task.', Explanation, answerFaults)
    const { usage } = await runSkill(ctx, options, workspace, input, {
      system: EXPLAIN,
      task: `${input.question}\n\n${aboutSnapshot(snapshot)}`,
      tools: ['list_files', 'search', 'read_file'],
      handIn: handedIn.tool,
      isDone: handedIn.isDone,
    })
    return { ...handedIn.result(), usage }
  })
}

async function answerFaults({ references }: Explanation, workspace: Workspace): Promise<string[]> {
  const faults: string[] = []
  for (const reference of references) faults.push(...(await referenceFaults(reference, workspace)))
  return faults
}

async function referenceFaults(
  { path, fromLine, toLine = fromLine }: Reference,
  workspace: Workspace,
): Promise<string[]> {
  if (toLine < fromLine) return [`${path}: line ${toLine} is before line ${fromLine}`]
  return await placeFaults(workspace, filePath(path), [fromLine, toLine])
}
