/** Operations: one thing done to many missions, tasks or dead letters. People begin and abort them; a loop carries them out. */
import { newId } from '@hypercode/contracts'
import type { Operation, OperationPreview, StartOperation } from '@hypercode/contracts'
import { inTransaction, writeAudit } from '@hypercode/db'
import { AppError } from '@hypercode/http'
import { canonical, hashText } from '@hypercode/manifest'
import type { OrchestratorConfig } from '../config.ts'
import { filterFaults } from '../domain/operations.ts'
import { findTargets } from '../store/operation-targets.ts'
import {
  askToAbort,
  countOpen,
  findByKey,
  findOperation,
  insertOperation,
  lockBeginnings,
} from '../store/operations.ts'
import type { Engine } from './engine.ts'

export type OperationBounds = Pick<OrchestratorConfig, 'OPERATIONS_OPEN_MAX' | 'OPERATION_TARGETS_MAX'>

export interface StartOrder {
  tenantId: string
  actor: string
  body: StartOperation
  idempotencyKey: string | undefined
  correlationId: string
}

/** How many targets there are, up to one more than an operation may have. */
export async function previewOperation(
  { db }: Engine,
  { tenantId, body: { action, filter } }: StartOrder,
  bounds: OperationBounds,
): Promise<OperationPreview> {
  checkFilter(action, filter)
  return { matched: (await findTargets(db, tenantId, action, filter, bounds.OPERATION_TARGETS_MAX + 1)).length }
}

/** Stores an operation with all its targets. One whose idempotency key exists is that operation, or an error when the request differs. */
export async function startOperation(
  { db }: Engine,
  order: StartOrder,
  bounds: OperationBounds,
): Promise<{ operation: Operation; replayed: boolean }> {
  const { tenantId, actor, body, idempotencyKey, correlationId } = order
  const { action, filter, reason } = body
  checkFilter(action, filter)
  const requestHash = hashText(canonical(body))
  const id = newId()
  return await inTransaction(db, async (trx) => {
    await lockBeginnings(trx, tenantId)
    const known = idempotencyKey === undefined ? undefined : await findByKey(trx, tenantId, idempotencyKey)
    if (known !== undefined) {
      if (known.requestHash !== requestHash) throw new AppError('idempotency_mismatch')
      // A transaction that was repeated after its reply was lost finds what it stored the first time.
      return { operation: (await findOperation(trx, tenantId, known.id)) as Operation, replayed: known.id !== id }
    }
    const open = await countOpen(trx, tenantId)
    if (open >= bounds.OPERATIONS_OPEN_MAX) throw tooManyOpen(open)
    const targets = await findTargets(trx, tenantId, action, filter, bounds.OPERATION_TARGETS_MAX + 1)
    if (targets.length > bounds.OPERATION_TARGETS_MAX) throw tooManyTargets(bounds.OPERATION_TARGETS_MAX)
    const draft = { id, tenantId, action, filter, reason, idempotencyKey, requestHash, correlationId, createdBy: actor }
    const operation = await insertOperation(trx, { ...draft, targets })
    const detail = { action, filter, matched: operation.matched, ...(reason === undefined ? {} : { reason }) }
    await writeAudit(trx, [{ tenantId, actor, action: 'operation.started', ref: id, detail }])
    return { operation, replayed: false }
  })
}

/** Asks for the end of an operation. Asking twice changes nothing. */
export async function abortOperation(
  { db }: Engine,
  { tenantId, actor, id }: { tenantId: string; actor: string; id: string },
): Promise<Operation> {
  return await inTransaction(db, async (trx) => {
    const isAsked = await askToAbort(trx, tenantId, id, actor)
    if (isAsked) await writeAudit(trx, [{ tenantId, actor, action: 'operation.abort_requested', ref: id }])
    const operation = await findOperation(trx, tenantId, id)
    if (operation === undefined) throw new AppError('not_found')
    const { state } = operation
    if (state === 'completed' || state === 'failed')
      throw new AppError('conflict', { detail: `the operation is ${state}` })
    return operation
  })
}

function checkFilter(action: StartOperation['action'], filter: StartOperation['filter']): void {
  const faults = filterFaults(action, filter)
  if (faults.length > 0)
    throw new AppError('unprocessable', { detail: 'The filter does not say which targets are meant.', faults })
}

const tooManyOpen = (open: number): AppError =>
  new AppError('rate_limited', {
    detail: `${open} operations of the tenant have not ended.`,
    fix: 'Wait until one has ended, or abort one.',
    retryAfterMs: 5000,
  })

const tooManyTargets = (most: number): AppError =>
  new AppError('unprocessable', {
    detail: `More than ${most} targets fit.`,
    faults: [
      {
        pointer: '/filter',
        message: `fits more than ${most} targets`,
        fix: 'Narrow it, with createdBefore for instance, and begin another operation for the rest.',
      },
    ],
  })
