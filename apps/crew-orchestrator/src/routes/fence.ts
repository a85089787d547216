import type { Principal } from '@hypercode/http'
import type { FenceClaim } from '../store/reports.ts'

/** The fence is (instance, incarnation, attempt); the instance comes from the token. */
export const fenceOf = (
  { tenantId, subject }: Principal,
  taskId: string,
  { incarnation, attempt }: { incarnation: number; attempt: number },
): FenceClaim => ({
  tenantId,
  subject,
  incarnation,
  taskId,
  attempt,
})
