import type { AuditFinding } from '@hypercode/contracts'
import { finding, priorityIn } from '../rule.ts'
import type { SyntaxNode } from '../source/parse.ts'
import { pythonCallee } from '../source/python.ts'
import { linesOf } from '../source/source-file.ts'
import type { SourceFile } from '../source/source-file.ts'
import { LOST_TASK } from './rules.ts'

/** Tasks whose handle is dropped at once: as a statement of its own, or assigned to `_`. */
export function auditLostTasks(file: SourceFile): AuditFinding[] {
  if (!/create_task|ensure_future/.test(file.text)) return []
  return file.nodes('expression_statement').flatMap((statement) => {
    const call = droppedCall(statement)
    if (call === undefined || !STARTS_TASK.test(pythonCallee(call))) return []
    return [
      finding(LOST_TASK, file, { ...linesOf(statement), priority: priorityIn(file.entry.role, LOST_TASK.priority) }),
    ]
  })
}

function droppedCall(statement: SyntaxNode): SyntaxNode | undefined {
  const inner = statement.child(0)
  if (inner?.kind() === 'call') return inner
  if (inner?.kind() !== 'assignment' || inner.field('left')?.text() !== '_') return undefined
  const right = inner.field('right')
  return right?.kind() === 'call' ? right : undefined
}

/** Not those of a TaskGroup (`tg.create_task`), which waits for its tasks and raises their exceptions. */
const STARTS_TASK =
  /^(asyncio\.)?(create_task|ensure_future)$|(^|\.)_?(event_)?loop\.create_task$|get_(event|running)_loop\(\)\.create_task$/
