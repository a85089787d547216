import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { IdParams, Json, Page, Timestamp, pageQuery } from './common.ts'
import { Id } from './ids.ts'
import { defineRoute } from './route.ts'
import { StringEnum } from './string-enum.ts'

const closed = { additionalProperties: false } as const

/** Who may decide: API clients by id or by name. */
export const Approvers = Type.Array(Type.String({ minLength: 1, maxLength: 100 }), { maxItems: 50, uniqueItems: true })

/** What an approval says about who decides, wherever it is asked for. */
export const approvalTerms = {
  title: Type.String({ minLength: 1, maxLength: 200 }),
  approvers: Type.Optional(
    Type.Unsafe<Static<typeof Approvers>>({
      ...Approvers,
      description: 'ids or names of API clients; everybody with approval:decide when there are none',
    }),
  ),
  quorum: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 50, description: 'so many different clients must approve; one when left out' }),
  ),
  onTimeout: Type.Optional(
    StringEnum(['reject', 'approve'], { description: 'what the deadline decides; reject when left out' }),
  ),
}

export const APPROVAL_STATES = ['open', 'approved', 'rejected', 'expired', 'withdrawn'] as const
export const ApprovalState = StringEnum(APPROVAL_STATES)
export type ApprovalState = Static<typeof ApprovalState>

const Hash = Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256 of the data as canonical JSON' })

export const ApprovalDecision = Type.Object(
  {
    subject: Type.String(),
    verdict: StringEnum(['approve', 'reject', 'edit']),
    round: Type.Integer({ description: 'each edit begins a new one; only decisions of the last one count' }),
    comment: Type.Optional(Type.String()),
    at: Timestamp,
  },
  closed,
)

export const Approval = Type.Object(
  {
    id: Id,
    missionId: Id,
    taskId: Id,
    taskKey: Type.String(),
    wait: Type.Optional(Type.String({ description: 'the wait of a handler; absent where the manifest asks' })),
    verifies: Type.Optional(
      Type.Integer({ minimum: 1, description: 'the round of `verify` whose output is shown; approved as edited' }),
    ),
    title: Type.String(),
    data: Json,
    hash: Hash,
    approvers: Approvers,
    quorum: Type.Integer(),
    round: Type.Integer(),
    state: ApprovalState,
    onTimeout: StringEnum(['reject', 'approve']),
    deadlineAt: Type.Optional(Timestamp),
    escalatedAt: Type.Optional(Timestamp),
    createdAt: Timestamp,
    decidedAt: Type.Optional(Timestamp),
    decisions: Type.Array(ApprovalDecision),
  },
  { $id: 'Approval', additionalProperties: false },
)
export type Approval = Static<typeof Approval>

const comment = Type.Optional(Type.String({ maxLength: 2000 }))

export const Decide = Type.Object(
  { hash: Type.Unsafe<string>({ ...Hash, description: 'of what was shown; 412 when it is another by now' }), comment },
  { $id: 'Decide', additionalProperties: false },
)
export type Decide = Static<typeof Decide>

export const EditApproval = Type.Object(
  { ...Decide.properties, data: Json },
  { $id: 'EditApproval', additionalProperties: false },
)
export type EditApproval = Static<typeof EditApproval>

const approvals = { service: 'crew-orchestrator', tag: 'approvals', access: ['approval:decide'] } as const

export const listApprovals = defineRoute({
  ...approvals,
  operationId: 'listApprovals',
  method: 'GET',
  path: '/v1/approvals',
  summary: 'List approvals, open ones first, then newest first',
  query: Type.Object({ ...pageQuery, state: Type.Optional(ApprovalState), missionId: Type.Optional(Id) }, closed),
  answers: { 200: Page(Approval, 'ApprovalPage') },
})

export const getApproval = defineRoute({
  ...approvals,
  operationId: 'getApproval',
  method: 'GET',
  path: '/v1/approvals/{id}',
  summary: 'Read one approval with every decision',
  params: IdParams,
  answers: { 200: Approval },
})

export const approveApproval = defineRoute({
  ...approvals,
  operationId: 'approveApproval',
  method: 'POST',
  path: '/v1/approvals/{id}:approve',
  summary: 'Approve what was shown; the task goes on when as many clients as its quorum have done so',
  params: IdParams,
  body: Decide,
  answers: { 200: Approval },
})

export const rejectApproval = defineRoute({
  ...approvals,
  operationId: 'rejectApproval',
  method: 'POST',
  path: '/v1/approvals/{id}:reject',
  summary: 'Reject what was shown; one rejection decides',
  params: IdParams,
  body: Decide,
  answers: { 200: Approval },
})

export const editApproval = defineRoute({
  ...approvals,
  operationId: 'editApproval',
  method: 'POST',
  path: '/v1/approvals/{id}:edit',
  summary: 'Change what is to be approved, and approve it so; whoever approved before has to decide anew',
  params: IdParams,
  body: EditApproval,
  bodyLimitBytes: 4 * 1024 * 1024,
  answers: { 200: Approval },
})
