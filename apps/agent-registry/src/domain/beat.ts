/**
 * What one beat is answered with, given the instance that its token is bound to. Pure.
 *
 * T1 A beat counts only for the instance that the token subject is bound to, and only for its current incarnation.
 * T2 A beat that was seen before, or that was overtaken, changes nothing and is answered with how things stand.
 */
import { isTerminal } from '@hypercode/base-agent/lifecycle'
import type { Heartbeat, HeartbeatAnswer, Lifecycle } from '@hypercode/contracts'

export interface Beat extends Heartbeat {
  readonly tenantId: string
  readonly subject: string
  /** The agent that the caller named; undefined when it named none. */
  readonly agentId: string | undefined
}

/** A task that the instance holds. */
export interface HeldTask {
  readonly taskId: string
  readonly attempt: number
  readonly cancelRequested: boolean
}

/** The instance of a subject, as the beat found it or left it. */
export interface BeatState {
  readonly instanceId: string
  readonly agentId: string
  readonly incarnation: number
  readonly lifecycle: Lifecycle
  readonly leaseLeftMs: number
  readonly tasks: readonly HeldTask[]
}

export type BeatOutcome =
  | { readonly kind: 'beaten'; readonly answer: HeartbeatAnswer }
  /** Registered anew, stopped or reaped: this process must not go on. */
  | { readonly kind: 'fenced'; readonly why: string }
  /** The subject is bound to another agent, or to none. */
  | { readonly kind: 'not_bound' }

export function judgeBeatOf(beat: Beat, state: BeatState | undefined): BeatOutcome {
  if (state === undefined) return { kind: 'not_bound' }
  if (beat.agentId !== undefined && beat.agentId !== state.agentId) return { kind: 'not_bound' }
  if (isTerminal(state.lifecycle)) return { kind: 'fenced', why: `The instance is ${state.lifecycle}.` }
  if (beat.incarnation !== state.incarnation) {
    return {
      kind: 'fenced',
      why: `Incarnation ${state.incarnation} has registered, the beat is of ${beat.incarnation}.`,
    }
  }
  return { kind: 'beaten', answer: answerTo(beat, state) }
}

/** Of several beats of one subject in a batch the latest one counts; the others are then overtaken. */
export function latestBeat<B extends Beat>(a: B, b: B): B {
  if (a.incarnation !== b.incarnation) return a.incarnation > b.incarnation ? a : b
  return a.seq >= b.seq ? a : b
}

/** How a task attempt is named in one word. */
export const attemptKey = (taskId: string, attempt: number): string => `${taskId}/${attempt}`

function answerTo(beat: Beat, state: BeatState): HeartbeatAnswer {
  const held = new Set(state.tasks.map((task) => attemptKey(task.taskId, task.attempt)))
  return {
    leaseMs: state.leaseLeftMs,
    lifecycle: state.lifecycle,
    canceled: state.tasks.filter((task) => task.cancelRequested).map(({ taskId, attempt }) => ({ taskId, attempt })),
    lost: (beat.tasks ?? []).filter(({ taskId, attempt }) => !held.has(attemptKey(taskId, attempt))),
  }
}
