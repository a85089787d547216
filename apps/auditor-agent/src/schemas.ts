import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { AuditCounts, AuditFinding, AuditKind } from '@hypercode/contracts'

const closed = { additionalProperties: false } as const
const Count = Type.Integer({ minimum: 0 })

/** Every task of the crew names the repository; the report works on what the others have stored of it. */
export const AuditInput = Type.Object(
  {
    root: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 4096,
        description: 'absolute path of the repository, as the agent sees it',
      }),
    ),
    patchFrom: Type.Optional(
      Type.String({ maxLength: 200, description: 'for a patched copy: key of the task that has stored patch.diff' }),
    ),
    before: Type.Optional(
      Type.String({ maxLength: 200, description: 'for a report: key of the task with the report to compare with' }),
    ),
  },
  closed,
)
export type AuditInput = Static<typeof AuditInput>

export const InventoryOutput = Type.Object(
  { files: Count, skipped: Count, artifact: Type.Literal('inventory.json') },
  closed,
)

export const KindOutput = Type.Object(
  {
    kind: AuditKind,
    checkedFiles: Count,
    counts: AuditCounts,
    suppressed: Count,
    artifact: Type.Literal('findings.json'),
  },
  closed,
)

/** Findings that one mission has put right at most. */
export const URGENT_MAX = 50

export const ReportOutput = Type.Object(
  {
    score: Type.Integer({ minimum: 0, maximum: 100 }),
    counts: AuditCounts,
    urgent: Type.Array(Type.Omit(AuditFinding, ['code']), {
      maxItems: URGENT_MAX,
      description: 'P0 and P1, most urgent first, for those who put them right',
    }),
    reportArtifact: Type.Literal('report.json'),
    markdownArtifact: Type.Literal('report.md'),
  },
  closed,
)

export const PatchedOutput = Type.Object(
  {
    root: Type.String({ description: 'absolute path of the copy, as the agents of this machine see it' }),
    files: Count,
  },
  closed,
)

/** Small on purpose: whatever is large is an artifact. */
export const AuditOutput = Type.Union([InventoryOutput, KindOutput, ReportOutput, PatchedOutput])
export type AuditOutput = Static<typeof AuditOutput>
