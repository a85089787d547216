import type { V1Pod } from '@kubernetes/client-node'
import { CONTAINER } from './pod-spec.ts'

export type PodState =
  | { readonly state: 'running' }
  /** Its node does not answer: it may run or not. */
  | { readonly state: 'unknown' }
  | { readonly state: 'ended'; readonly end: PodEnd | undefined }

export interface PodEnd {
  readonly code: number
  readonly outOfMemory: boolean
  readonly at: Date
}

/** There is one container, and it is never started again: it has ended when that has. */
export function stateOf({ status }: V1Pod): PodState {
  const terminated = status?.containerStatuses?.find(({ name }) => name === CONTAINER)?.state?.terminated
  if (terminated !== undefined) {
    const { exitCode, reason, finishedAt } = terminated
    return {
      state: 'ended',
      end: { code: exitCode, outOfMemory: reason === 'OOMKilled', at: finishedAt ?? new Date() },
    }
  }
  switch (status?.phase) {
    case 'Succeeded':
    case 'Failed': // evicted, for example, before it had a container
      return { state: 'ended', end: undefined }
    case 'Unknown':
      return { state: 'unknown' }
    default:
      return { state: 'running' }
  }
}

/** Whether its container may have read its secrets already. */
export function hasStarted({ status }: V1Pod): boolean {
  const container = status?.containerStatuses?.find(({ name }) => name === CONTAINER)
  return container?.state?.running !== undefined || container?.state?.terminated !== undefined
}
