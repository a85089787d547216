import { setTimeout as sleep } from 'node:timers/promises'
import { newId } from '@hypercode/contracts'
import { describe, expect, onTestFinished, test } from 'vitest'
import { TENANT, aTask, claim, deskWith, lend, settle, wakeUp } from './desk-with.ts'

/** As in the desk: how long a claim that comes to a drained group waits until it looks. */
const LOOK_AFTER_MS = 10

/** A desk that ends with its test, so that no claim is left behind. */
function openDesk(options: Parameters<typeof deskWith>[0] = {}) {
  const opened = deskWith(options)
  onTestFinished(() => opened.desk.stop())
  return opened
}

/** Whether a promise is settled by what happens without any time going by. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  promise.finally(() => (settled = true)).catch(() => (settled = true))
  await settle()
  return settled
}

describe('C4 a claim is lent', () => {
  test('when its group is drained and at rest, with all that a statement needs to know', async () => {
    const { desk } = openDesk()
    const [subject, claimId] = [newId(), newId()]
    const waiting = claim(desk, { subject, claimId, skills: ['work', 'rust'], max: 7 })
    await settle()
    const hand = lend(desk, ['rust'])
    expect(hand).toEqual({
      tenantId: TENANT,
      claimId,
      owner: subject,
      incarnation: 1,
      max: 7,
      skills: new Set(['rust', 'work']),
    })
    const tasks = [aTask(), aTask()]
    desk.giveBack(hand, tasks)
    expect(await waiting).toEqual(tasks)
    expect(desk.waiting).toBe(0)
  })

  test('not while its group is asked for, and not when nobody has looked since work was told of', async () => {
    const { desk, state } = openDesk()
    const waiting = claim(desk)
    expect(desk.lend(TENANT, ['work'])).toBeUndefined()
    await settle()
    const open = Promise.withResolvers<void>()
    state.gate = open.promise
    wakeUp(desk)
    expect(desk.lend(TENANT, ['work'])).toBeUndefined()
    open.resolve()
    await settle()
    desk.giveBack(lend(desk), [aTask()])
    await waiting
  })

  test('not when it comes while its group is asked for', async () => {
    const { desk, state } = openDesk()
    const first = claim(desk)
    await settle()
    const open = Promise.withResolvers<void>()
    state.gate = open.promise
    const look = claim(desk, { waitMs: 0 })
    const second = claim(desk)
    expect(desk.lend(TENANT, ['work'])).toBeUndefined()
    open.resolve()
    await look
    await settle()
    for (const hand of [lend(desk), lend(desk)]) desk.giveBack(hand, [aTask()])
    await Promise.all([first, second])
  })

  test('not when the last statement found work, for there may be more', async () => {
    const { desk, work } = openDesk()
    const claims = [claim(desk), claim(desk)]
    await settle()
    work.push(aTask())
    wakeUp(desk)
    await settle()
    expect(desk.waiting).toBe(1)
    expect(desk.lend(TENANT, ['work'])).toBeUndefined()
    wakeUp(desk)
    await settle()
    desk.giveBack(lend(desk), [aTask()])
    await Promise.all(claims)
  })

  test('not when the last statement was broken', async () => {
    const { desk, state } = openDesk({ asksMax: 1 })
    const claims = [claim(desk), claim(desk)]
    await settle()
    state.failure = new Error('no server')
    wakeUp(desk)
    await expect(Promise.race(claims)).rejects.toThrow('no server')
    await settle()
    expect(desk.waiting).toBe(1)
    expect(desk.lend(TENANT, ['work'])).toBeUndefined()
    desk.stop()
    await Promise.allSettled(claims)
  })

  test('only to its tenant, and only with all the skills', async () => {
    const { desk } = openDesk()
    const waiting = claim(desk, { skills: ['a', 'b'] })
    await settle()
    expect(desk.lend(newId(), ['a'])).toBeUndefined()
    expect(desk.lend(TENANT, ['a', 'c'])).toBeUndefined()
    desk.giveBack(lend(desk, ['a', 'b']), [aTask()])
    await waiting
  })

  test('once, and one of an instance at a time, whatever the group', async () => {
    const { desk } = openDesk()
    const greedy = { subject: newId() }
    const claims = [claim(desk, greedy), claim(desk, greedy), claim(desk, { ...greedy, skills: ['work', 'more'] })]
    await settle()
    const hand = lend(desk)
    expect(desk.lend(TENANT, ['work'])).toBeUndefined()
    const other = claim(desk)
    await sleep(2 * LOOK_AFTER_MS)
    expect(lend(desk).owner).not.toBe(greedy.subject)
    desk.giveBack(hand, [aTask()])
    await Promise.race(claims)
    await settle()
    expect(lend(desk).owner).toBe(greedy.subject)
    desk.stop()
    expect(await Promise.race([other, settle().then(() => 'still lent')])).toBe('still lent')
  })
})

describe('C4 a claim that is lent', () => {
  test('is not served by the statement of its group, which others hear meanwhile', async () => {
    const { desk, calls, work } = openDesk()
    const [mine, other] = [newId(), newId()]
    const lent = claim(desk, { claimId: mine })
    await settle()
    const hand = lend(desk)
    const waiting = claim(desk, { claimId: other })
    work.push(aTask())
    wakeUp(desk)
    expect(await waiting).toHaveLength(1)
    expect(calls.slice(1).flatMap((asks) => asks.map(({ claimId }) => claimId))).toEqual([other])
    desk.giveBack(hand, [aTask()])
    expect(await lent).toHaveLength(1)
  })

  test('keeps the other claims of its instance back, whose slots it may take; they are served when it is back', async () => {
    const { desk, calls, work } = openDesk()
    const [subject, second] = [newId(), newId()]
    const lent = claim(desk, { subject })
    const waiting = claim(desk, { subject, claimId: second, skills: ['work', 'more'] })
    await settle()
    const hand = lend(desk)
    calls.length = 0
    work.push(aTask())
    wakeUp(desk)
    wakeUp(desk, 'more')
    await settle()
    expect(calls).toEqual([])
    desk.giveBack(hand, [aTask()])
    expect(await lent).toHaveLength(1)
    expect(await waiting).toHaveLength(1)
    expect(calls.flat().map(({ claimId }) => claimId)).toEqual([second])
  })

  test('sent again meanwhile gets the same answer, though it does not wait', async () => {
    const { desk } = openDesk()
    const same = { subject: newId(), claimId: newId() }
    const gone = new AbortController()
    const first = claim(desk, { ...same, signal: gone.signal })
    await settle()
    const hand = lend(desk)
    gone.abort()
    const again = [claim(desk, { ...same, waitMs: 0 }), claim(desk, same)]
    await sleep(LOOK_AFTER_MS)
    const tasks = [aTask()]
    desk.giveBack(hand, tasks)
    expect(await Promise.all([first, ...again])).toEqual([tasks, tasks, tasks])
    expect(desk.waiting).toBe(0)
  })

  test('and that was sent twice before makes the other one look at once', async () => {
    const { desk, calls } = openDesk()
    const same = { subject: newId(), claimId: newId() }
    const claims = [claim(desk, same), claim(desk, same)]
    await settle()
    const before = calls.length
    desk.giveBack(lend(desk), [aTask()])
    expect(await Promise.race(claims)).toHaveLength(1)
    await settle()
    expect(calls.slice(before).map((asks) => asks.map(({ claimId }) => claimId))).toEqual([[same.claimId]])
  })

  test.for(['its time is up', 'its caller is gone', 'the desk stops'])(
    'when %s, does not end before it is given back, and then has its tasks',
    async (why) => {
      for (const tasks of [[aTask()], []]) {
        const { desk } = openDesk()
        const caller = new AbortController()
        const waiting = claim(desk, { signal: caller.signal, waitMs: why === 'its time is up' ? 20 : 60_000 })
        await settle()
        const hand = lend(desk)
        if (why === 'its caller is gone') caller.abort()
        if (why === 'the desk stops') desk.stop()
        await sleep(30)
        expect(await isSettled(waiting)).toBe(false)
        desk.giveBack(hand, tasks)
        expect(await waiting).toEqual(tasks)
        expect(desk.waiting).toBe(0)
      }
    },
  )

  test('and comes back without tasks waits on, looks again, and can be lent again', async () => {
    const { desk, calls } = openDesk()
    const waiting = claim(desk)
    await settle()
    const before = calls.length
    desk.giveBack(lend(desk), [])
    await settle()
    expect(calls.length).toBe(before + 1)
    expect(await isSettled(waiting)).toBe(false)
    desk.giveBack(lend(desk), [aTask()])
    expect(await waiting).toHaveLength(1)
  })

  test('hears the bell that rang meanwhile when it comes back', async () => {
    const { desk, work } = openDesk()
    const waiting = claim(desk)
    await settle()
    const hand = lend(desk)
    work.push(aTask())
    wakeUp(desk)
    expect(await isSettled(waiting)).toBe(false)
    desk.giveBack(hand, [])
    expect(await waiting).toHaveLength(1)
  })

  test('and answered while a bell rang leaves the bell to the next claim', async () => {
    const { desk, work } = openDesk()
    const first = claim(desk)
    await settle()
    const hand = lend(desk)
    work.push(aTask())
    wakeUp(desk)
    desk.giveBack(hand, [aTask()])
    await first
    const next = claim(desk)
    expect(await isSettled(next)).toBe(true)
  })

  test('is given back once', async () => {
    const { desk } = openDesk()
    const waiting = claim(desk)
    await settle()
    const hand = lend(desk)
    desk.giveBack(hand, [])
    desk.giveBack(hand, [aTask()])
    expect(await isSettled(waiting)).toBe(false)
  })

  test('counts as one of those that wait', async () => {
    const { desk } = openDesk({ waitingMax: 1 })
    const waiting = claim(desk)
    await settle()
    const hand = lend(desk)
    await expect(claim(desk)).rejects.toThrow('full')
    desk.giveBack(hand, [aTask()])
    await waiting
    expect(desk.waiting).toBe(0)
  })
})

describe('a claim that comes to a drained group', () => {
  /** The last statement of the group found nothing; nobody waits in it unless `waiters` says so. */
  const drained = async (waiters: number, options: Parameters<typeof deskWith>[0] = {}) => {
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

test('a desk that stops answers what waits, and what is lent when it comes back', async () => {
  const { desk } = deskWith()
  const ids = [newId(), newId()] as const
  const claims = new Map(ids.map((claimId) => [claimId as string, claim(desk, { claimId })]))
  await settle()
  const hand = lend(desk)
  desk.stop()
  const [other] = ids.filter((id) => id !== hand.claimId)
  expect(await claims.get(other as string)).toEqual([])
  expect(await isSettled(claims.get(hand.claimId) as Promise<unknown>)).toBe(false)
  const tasks = [aTask()]
  desk.giveBack(hand, tasks)
  expect(await claims.get(hand.claimId)).toEqual(tasks)
  expect(desk.waiting).toBe(0)
})
