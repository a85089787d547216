import { setTimeout as sleep } from 'node:timers/promises'
import { newId } from '@hypercode/contracts'
import { describe, expect, test } from 'vitest'
import { LOOK_AFTER_MS, TENANT, aTask, claim, isSettled, lend, openDesk, settle, wakeUp } from './desk-with.ts'

describe('a claim that comes to a drained group', () => {
  /** The last statement of the group found nothing; nobody waits in it unless `waiters` says so. */
  const drained = async (waiters: number, options: Parameters<typeof openDesk>[0] = {}) => {
    const opened = openDesk(options)
    const claims = Array.from({ length: waiters }, () => claim(opened.desk))
    expect(await claim(opened.desk, { waitMs: 0 })).toEqual([])
    await settle()
    opened.calls.length = 0
    return { ...opened, claims }
  }

  test.for([0, 1])('beside %i others has a little time to be lent, and looks then', async (waiters) => {
    const { desk, calls, work } = await drained(waiters)
    const began = performance.now()
    const waiting = claim(desk)
    await settle()
    expect(calls).toEqual([])
    work.push(aTask(), aTask())
    expect(await waiting).toHaveLength(1)
    expect(performance.now() - began).toBeGreaterThan(LOOK_AFTER_MS - 1)
  })

  test.for([0, 1])('beside %i others looks at once when it does not wait', async (waiters) => {
    for (const waitMs of [0, LOOK_AFTER_MS]) {
      const { desk, calls } = await drained(waiters)
      const waiting = claim(desk, { waitMs })
      await settle()
      expect(calls).toHaveLength(1)
      expect(await waiting).toEqual([])
    }
  })

  test.for([0, 1])('beside %i others hears a bell at once, also one that rang before it came', async (waiters) => {
    const before = await drained(waiters)
    wakeUp(before.desk)
    before.work.push(aTask(), aTask())
    expect(await isSettled(claim(before.desk))).toBe(true)
    const during = await drained(waiters)
    const waiting = claim(during.desk)
    during.work.push(aTask(), aTask())
    wakeUp(during.desk)
    expect(await isSettled(waiting)).toBe(true)
  })

  test('while another one is looked for is looked for right after it', async () => {
    const { desk, calls, state } = await drained(1)
    const open = Promise.withResolvers<void>()
    state.gate = open.promise
    const first = claim(desk, { waitMs: 0 })
    const claimId = newId()
    const second = claim(desk, { claimId })
    open.resolve()
    expect(await first).toEqual([])
    await settle()
    expect(calls.map((asks) => asks.some((ask) => ask.claimId === claimId))).toEqual([false, true])
    desk.stop()
    expect(await second).toEqual([])
  })

  // Goal: C2 holds in a stream of claims that are all lent. Method: they come faster than they would look, beside one that waits on.
  test('does not put off the poll, however many come and are lent', async () => {
    const pollMs = 100
    const { desk, calls, work } = await drained(0, { pollMs })
    const began = performance.now()
    while (calls.length === 0 && performance.now() - began < 10 * pollMs) {
      const waiting = claim(desk)
      const hand = desk.lend(TENANT, ['work'])
      if (hand !== undefined) desk.giveBack(hand, [aTask()])
      else work.push(aTask())
      await waiting
      await sleep(1)
    }
    expect(performance.now() - began).toBeLessThan(3 * pollMs)
  })

  test('looks at once when the poll found all of them lent', async () => {
    const { desk, calls } = await drained(0, { pollMs: 30 })
    const first = claim(desk)
    const hand = lend(desk)
    await sleep(60)
    expect(calls).toEqual([])
    desk.giveBack(hand, [aTask()])
    await first
    const next = claim(desk)
    expect(await isSettled(next)).toBe(false)
    expect(calls).toHaveLength(1)
  })
})
