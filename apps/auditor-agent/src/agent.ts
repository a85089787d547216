import { AUDIT_KINDS } from '@hypercode/contracts'
import type { AuditKind } from '@hypercode/contracts'
import { TerminalError, defineAgent } from '@hypercode/base-agent'
import { AuditInput, AuditOutput } from './schemas.ts'
import { inventoryTask, kindTask, patchedTask, reportTask, rootOf } from './tasks.ts'

const TITLES: Readonly<Record<AuditKind, string>> = {
  secrets: 'Find secrets in code and configuration',
  authentication: 'Find open endpoints',
  'error-handling': 'Find swallowed errors',
  'agent-consistency': 'Find agents without the shared base',
  'database-pooling': 'Find unbounded database clients',
  logging: 'Find unstructured logs',
}

/** Audits a repository for production readiness; one skill per step of the crew in crews/readiness-audit.yaml. */
export const auditor = defineAgent({
  name: 'auditor',
  version: '0.1.0',
  slots: 2,
  skills: [
    { id: 'audit.inventory', name: 'List the files of a repository' },
    ...AUDIT_KINDS.map((kind) => ({ id: `audit.${kind}`, name: TITLES[kind] })),
    { id: 'audit.report', name: 'Write the readiness report' },
    { id: 'audit.patched', name: 'Copy a repository with a patch applied' },
  ],
  input: AuditInput,
  output: AuditOutput,
  async onTask(ctx, input) {
    const { patchFrom } = input
    if (ctx.skill === 'audit.report') return await reportTask(ctx, input)
    const root = rootOf(input.root)
    if (ctx.skill === 'audit.patched') {
      if (patchFrom === undefined) {
        throw new TerminalError('the task names no patch', 'input.patchFrom is the key of the task that stored it', {
          code: 'patch_missing',
        })
      }
      return await patchedTask(ctx, root, patchFrom)
    }
    const kind = AUDIT_KINDS.find((candidate) => ctx.skill === `audit.${candidate}`)
    return kind === undefined ? await inventoryTask(ctx, root) : await kindTask(ctx, kind, root)
  },
})
