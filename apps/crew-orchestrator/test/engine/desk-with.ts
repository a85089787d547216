/** A claim desk in the hands of a test, without a database. */
import { newId } from '@hypercode/contracts'
import type { ClaimedTask } from '@hypercode/contracts'
import { onTestFinished } from 'vitest'
import type { Hand } from '../../src/domain/hand-over.ts'
import { createClaimDesk } from '../../src/engine/claim-desk.ts'
import type { ClaimDesk } from '../../src/engine/claim-desk.ts'
import type { LeaseAsk, Leased } from '../../src/store/lease.ts'

export const TENANT = newId()
export const aTask = (): ClaimedTask => ({ taskId: newId() }) as ClaimedTask

/** A desk over work that the test holds in its hand: what stands in `work` is leased, one per ask. */
export function deskWith(options: { asksMax?: number; pollMs?: number; waitingMax?: number } = {}) {
  const work: ClaimedTask[] = []
  const calls: (readonly LeaseAsk[])[] = []
  const state = { gate: Promise.resolve(), failure: undefined as Error | undefined }
  const lease = async (_tenant: string, _skills: readonly string[], asks: readonly LeaseAsk[]): Promise<Leased> => {
    calls.push(asks)
    await state.gate
    if (state.failure !== undefined) throw state.failure
    return {
      answers: asks.map(() => ({ kind: 'tasks', tasks: work.splice(0, 1) })),
      outbox: undefined,
      contended: false,
    }
  }
  const desk = createClaimDesk({
    lease,
    pollMs: options.pollMs ?? 60_000,
    waitingMax: options.waitingMax ?? 10_000,
    onFull: () => new Error('full'),
    onTooMany: () => new Error('too many'),
    onFenced: () => new Error('fenced'),
    ...(options.asksMax === undefined ? {} : { asksMax: options.asksMax }),
  })
  return { desk, work, calls, state }
}

export const claim = (
  desk: ClaimDesk,
  {
    skills = ['work'],
    waitMs = 60_000,
    signal = new AbortController().signal,
    subject = newId() as string,
    claimId = newId() as string,
    tenantId = TENANT as string,
    max = 1,
  } = {},
): Promise<ClaimedTask[]> =>
  desk.claim({ claimId, subject, instanceId: subject, incarnation: 1, max, tenantId, skills, waitMs, signal })

export const wakeUp = (desk: ClaimDesk, queue = 'work', tenantId = TENANT): void => desk.wake([{ tenantId, queue }])

/** Lends one that must be there. */
export function lend(desk: ClaimDesk, skills = ['work']): Hand {
  const hand = desk.lend(TENANT, skills)
  if (hand === undefined) throw new Error('no claim to lend')
  return hand
}

/** Lets everything happen that only waits for a turn of the event loop. */
export const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((done) => setImmediate(done))
}

/** As in the desk: how long a claim that comes to a drained group waits until it looks. */
export const LOOK_AFTER_MS = 10

/** A desk that ends with its test, so that no claim is left behind. */
export function openDesk(options: Parameters<typeof deskWith>[0] = {}) {
  const opened = deskWith(options)
  onTestFinished(() => opened.desk.stop())
  return opened
}

/** Whether a promise is settled by what happens without any time going by. */
export async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  promise.finally(() => (settled = true)).catch(() => (settled = true))
  await settle()
  return settled
}
