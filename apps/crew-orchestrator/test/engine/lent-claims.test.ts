import { setTimeout as sleep } from 'node:timers/promises'
import { newId } from '@hypercode/contracts'
import { describe, expect, test } from 'vitest'
import { LOOK_AFTER_MS, aTask, claim, deskWith, isSettled, lend, openDesk, settle, wakeUp } from './desk-with.ts'

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
