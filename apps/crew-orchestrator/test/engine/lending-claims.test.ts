import { setTimeout as sleep } from 'node:timers/promises'
import { newId } from '@hypercode/contracts'
import { describe, expect, test } from 'vitest'
import { LOOK_AFTER_MS, TENANT, aTask, claim, lend, openDesk, settle, wakeUp } from './desk-with.ts'

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
