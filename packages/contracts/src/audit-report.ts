import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { Timestamp } from './common.ts'
import { StringEnum } from './string-enum.ts'

/** What a readiness audit looks for, in the order of the report. */
export const AUDIT_KINDS = [
  'secrets',
  'authentication',
  'error-handling',
  'agent-consistency',
  'database-pooling',
  'logging',
] as const
export const AuditKind = StringEnum(AUDIT_KINDS)
export type AuditKind = Static<typeof AuditKind>

/** P0 blocks a release, P1 is due before production, P2 is due some day. */
export const AuditPriority = StringEnum(['P0', 'P1', 'P2'])
export type AuditPriority = Static<typeof AuditPriority>

export const AuditConfidence = StringEnum(['high', 'medium', 'low'])
export type AuditConfidence = Static<typeof AuditConfidence>

const closed = { additionalProperties: false } as const
const Count = Type.Integer({ minimum: 0 })
const Line = Type.Integer({ minimum: 1, description: 'line in the file, from 1' })

export const AuditFinding = Type.Object(
  {
    kind: AuditKind,
    rule: Type.String({ description: 'stable word for what was found' }),
    priority: AuditPriority,
    confidence: AuditConfidence,
    title: Type.String(),
    file: Type.String({ description: 'relative to the audited root, with forward slashes' }),
    line: Line,
    endLine: Line,
    code: Type.String({ description: 'the offending lines; a live secret is masked' }),
    impact: Type.String(),
    recommendation: Type.String(),
  },
  { $id: 'AuditFinding', ...closed },
)
export type AuditFinding = Static<typeof AuditFinding>

export const SuppressedFinding = Type.Object(
  {
    ...AuditFinding.properties,
    reason: Type.String({ minLength: 1, description: 'why the source says to accept it' }),
  },
  { $id: 'SuppressedFinding', ...closed },
)
export type SuppressedFinding = Static<typeof SuppressedFinding>

/** How many findings there are by priority; suppressed ones are not among them. */
export const AuditCounts = Type.Object({ P0: Count, P1: Count, P2: Count }, closed)
export type AuditCounts = Static<typeof AuditCounts>

export const AuditKindSummary = Type.Object(
  {
    checkedFiles: Count,
    counts: AuditCounts,
    suppressed: Count,
    penalty: Type.Number({ minimum: 0, description: 'points that this kind takes from the score' }),
    durationMs: Type.Number({ minimum: 0 }),
  },
  closed,
)
export type AuditKindSummary = Static<typeof AuditKindSummary>

/** Without an id: a schema may name one only once. */
const MovedFinding = Type.Object(AuditFinding.properties, closed)

/** What the patches of the same mission changed, beside the counts and the score of the report itself. */
export const AuditChange = Type.Object(
  {
    root: Type.String({ description: 'absolute path of the repository as it was before' }),
    score: Type.Integer({ minimum: 0, maximum: 100 }),
    counts: AuditCounts,
    fixed: Type.Array(MovedFinding, { description: 'found before and no more' }),
    introduced: Type.Array(MovedFinding, { description: 'not found before' }),
  },
  closed,
)
export type AuditChange = Static<typeof AuditChange>

export const AuditReport = Type.Object(
  {
    root: Type.String({ description: 'absolute path of the audited repository' }),
    generatedAt: Timestamp,
    files: Type.Object(
      { total: Count, python: Count, typescript: Count, javascript: Count, other: Count, skipped: Count },
      { ...closed, description: 'total is what was read; skipped comes on top' },
    ),
    skippedBy: Type.Record(Type.String(), Count, { description: 'how many files and folders were skipped, by reason' }),
    score: Type.Integer({ minimum: 0, maximum: 100 }),
    scoreFormula: Type.String(),
    counts: AuditCounts,
    findings: Type.Array(AuditFinding, { description: 'most urgent first' }),
    suppressed: Type.Array(SuppressedFinding),
    omitted: Type.Integer({ minimum: 0, description: 'findings that count but had no room in this report' }),
    kinds: Type.Object(
      {
        secrets: AuditKindSummary,
        authentication: AuditKindSummary,
        'error-handling': AuditKindSummary,
        'agent-consistency': AuditKindSummary,
        'database-pooling': AuditKindSummary,
        logging: AuditKindSummary,
      },
      closed,
    ),
    change: Type.Optional(AuditChange),
    durationMs: Type.Number({ minimum: 0 }),
  },
  { $id: 'AuditReport', ...closed },
)
export type AuditReport = Static<typeof AuditReport>
