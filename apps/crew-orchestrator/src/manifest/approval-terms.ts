import { durationMs } from '@hypercode/contracts'
import type { CrewManifest } from '@hypercode/contracts'
import type { ApprovalTerms } from '../domain/approvals.ts'

type ManifestApproval = NonNullable<CrewManifest['spec']['tasks'][number]['approval']>

/** What the manifest says about the approval of a task, with what it leaves out. */
export function approvalOf(taskId: string, approval: ManifestApproval): ApprovalTerms {
  const { title, approvers, quorum, deadline, onTimeout, escalate } = approval
  return {
    title: title ?? `Begin ${taskId}?`,
    approvers: approvers ?? [],
    quorum: quorum ?? 1,
    deadlineMs: deadline === undefined ? null : durationMs(deadline),
    onTimeout: onTimeout ?? 'reject',
    escalate: escalate === undefined ? null : { afterMs: durationMs(escalate.after), approvers: escalate.approvers },
  }
}
