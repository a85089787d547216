import { newId } from '@hypercode/contracts'
import { describe, expect, test } from 'vitest'
import { TENANT, aTask, claim, deskWith, lend, settle, wakeUp } from './desk-with.ts'

describe('a group of claims', () => {
  test('larger than one statement is served to its end as long as there is work', async () => {
    const { desk, work, calls } = deskWith({ asksMax: 10 })
    const claims = Array.from({ length: 35 }, () => claim(desk))
    await settle()
    work.push(...Array.from({ length: 35 }, aTask))
    wakeUp(desk)
    const answers = await Promise.all(claims)
    expect(answers.every((tasks) => tasks.length === 1)).toBe(true)
    expect(calls.every((asks) => asks.length <= 10)).toBe(true)
    expect(desk.waiting).toBe(0)
  })

  test('is asked for in one statement at a time; what rings meanwhile makes one more', async () => {
    const { desk, calls, state } = deskWith()
    const claims = [claim(desk), claim(desk)]
    await settle()
    const before = calls.length
    const open = Promise.withResolvers<void>()
    state.gate = open.promise
    for (let ring = 0; ring < 5; ring += 1) wakeUp(desk)
    await settle()
    expect(calls.length).toBe(before + 1)
    open.resolve()
    await settle()
    expect(calls.length).toBe(before + 2)
    desk.stop()
    await Promise.all(claims)
  })

  test('does not hear of other queues and other tenants', async () => {
    const { desk, calls } = deskWith()
    const waiting = claim(desk)
    await settle()
    const before = calls.length
    wakeUp(desk, 'other')
    wakeUp(desk, 'work', newId())
    await settle()
    expect(calls.length).toBe(before)
    desk.stop()
    expect(await waiting).toEqual([])
  })

  test('with the same skills in another order is the same group', async () => {
    const { desk, calls } = deskWith()
    const claims = [claim(desk, { skills: ['b', 'a'] }), claim(desk, { skills: ['a', 'b'] })]
    await settle()
    wakeUp(desk, 'a')
    await settle()
    expect(calls.at(-1)).toHaveLength(2)
    desk.stop()
    await Promise.all(claims)
  })

  test('polls by itself', async () => {
    const { desk, work } = deskWith({ pollMs: 50 })
    const waiting = claim(desk)
    await settle()
    work.push(aTask())
    expect(await waiting).toHaveLength(1)
  })
})

describe('a claim whose tasks are just being leased', () => {
  test.for(['its time is up', 'its caller is gone', 'the desk stops'])('when %s, it still gets them', async (why) => {
    const { desk, work, state } = deskWith()
    const caller = new AbortController()
    const open = Promise.withResolvers<void>()
    state.gate = open.promise
    work.push(aTask())
    const waiting = claim(desk, { signal: caller.signal, waitMs: why === 'its time is up' ? 1 : 60_000 })
    await settle()
    if (why === 'its caller is gone') caller.abort()
    if (why === 'the desk stops') desk.stop()
    await new Promise((done) => setTimeout(done, 20))
    open.resolve()
    expect(await waiting).toHaveLength(1)
    expect(desk.waiting).toBe(0)
  })
})

describe('claims of one instance in two groups', () => {
  test('are served one after the other, and those of others meanwhile', async () => {
    const { desk, work, calls, state } = deskWith()
    const greedy = { subject: newId() }
    const open = Promise.withResolvers<void>()
    state.gate = open.promise
    const first = claim(desk, { ...greedy, skills: ['a'] })
    const second = claim(desk, { ...greedy, skills: ['b'] })
    const other = claim(desk, { skills: ['b'] })
    for (const queue of ['a', 'b']) wakeUp(desk, queue)
    await settle()
    expect(calls.map((asks) => asks.map(({ subject }) => subject === greedy.subject))).toEqual([[true], [false]])
    work.push(aTask(), aTask(), aTask())
    open.resolve()
    for (const one of [first, second, other]) expect(await one).toHaveLength(1)
    expect(desk.waiting).toBe(0)
  })

  test('hear of work that was told of meanwhile', async () => {
    const { desk, work, calls, state } = deskWith()
    const greedy = { subject: newId() }
    const first = claim(desk, { ...greedy, skills: ['a'] })
    const claimId = newId()
    const second = claim(desk, { ...greedy, claimId, skills: ['b'] })
    await settle()
    const open = Promise.withResolvers<void>()
    state.gate = open.promise
    wakeUp(desk, 'a')
    wakeUp(desk, 'b')
    await settle()
    work.push(aTask(), aTask())
    open.resolve()
    expect(await first).toHaveLength(1)
    expect(await second).toHaveLength(1)
    expect(calls.at(-1)?.map((ask) => ask.claimId)).toEqual([claimId])
  })

  test('are not lent while one of them is being served, and are when it is over', async () => {
    const { desk, state } = deskWith()
    const greedy = { subject: newId() }
    const first = claim(desk, { ...greedy, skills: ['a'] })
    await settle()
    const open = Promise.withResolvers<void>()
    state.gate = open.promise
    const second = claim(desk, { ...greedy, skills: ['b'], waitMs: 0 })
    expect(desk.lend(TENANT, ['a'])).toBeUndefined()
    open.resolve()
    expect(await second).toEqual([])
    await settle()
    desk.giveBack(lend(desk, ['a']), [aTask()])
    expect(await first).toHaveLength(1)
  })

  test('are served again after a broken statement', async () => {
    const { desk, work, state } = deskWith()
    const greedy = { subject: newId() }
    const open = Promise.withResolvers<void>()
    state.gate = open.promise
    const first = claim(desk, { ...greedy, skills: ['a'] })
    const second = claim(desk, { ...greedy, skills: ['b'], waitMs: 0 })
    await settle()
    state.failure = new Error('no server')
    open.resolve()
    await expect(first).rejects.toThrow('no server')
    state.failure = undefined
    await Promise.allSettled([second])
    work.push(aTask())
    expect(await claim(desk, { ...greedy, skills: ['b'] })).toHaveLength(1)
  })
})

describe('a claim that does not wait', () => {
  test.for([0, 500])('is looked for once, though its group is being served and %i wait before it', async (others) => {
    const { desk, work, state } = deskWith({ asksMax: 10 })
    const waiting = Array.from({ length: others }, () => claim(desk))
    await settle()
    const open = Promise.withResolvers<void>()
    state.gate = open.promise
    const [first, second] = [claim(desk, { waitMs: 0 }), claim(desk, { waitMs: 0 })]
    await new Promise((done) => setTimeout(done, 20))
    open.resolve()
    expect(await first).toEqual([])
    expect(await second).toEqual([])
    work.push(aTask())
    expect(await claim(desk, { waitMs: 0, skills: ['more'] })).toHaveLength(1)
    expect(desk.waiting).toBe(others)
    desk.stop()
    await Promise.all(waiting)
  })

  test('has what there is for it, though another statement was on its way when it came', async () => {
    const { desk, work, state } = deskWith()
    const open = Promise.withResolvers<void>()
    state.gate = open.promise
    const first = claim(desk)
    const second = claim(desk, { waitMs: 0 })
    await new Promise((done) => setTimeout(done, 20))
    work.push(aTask(), aTask())
    open.resolve()
    expect(await first).toHaveLength(1)
    expect(await second).toHaveLength(1)
  })
})

describe('a claim that cannot be served', () => {
  test('hears of a broken statement, and the next one is served again', async () => {
    const { desk, work, state } = deskWith()
    state.failure = new Error('no server')
    await expect(claim(desk)).rejects.toThrow('no server')
    state.failure = undefined
    work.push(aTask())
    expect(await claim(desk)).toHaveLength(1)
  })

  test('ends at once when its caller was gone before', async () => {
    const { desk } = deskWith()
    expect(await claim(desk, { signal: AbortSignal.abort() })).toEqual([])
    expect(desk.waiting).toBe(0)
  })

  test('is refused when too many of its instance wait, and others are not; every end makes place', async () => {
    const { desk, work } = deskWith()
    const greedy = { subject: newId() }
    // Each with skills of its own, as whoever wants to make many statements would ask.
    const waiting = Array.from({ length: 20 }, (_, n) => claim(desk, { ...greedy, skills: [`skill-${n}`] }))
    await settle()
    await expect(claim(desk, greedy)).rejects.toThrow('too many')
    const other = claim(desk)
    await settle()
    work.push(aTask())
    wakeUp(desk, 'skill-7')
    expect(await waiting[7]).toHaveLength(1)
    waiting.push(claim(desk, greedy), other)
    await settle()
    expect(desk.waiting).toBe(21)
    desk.stop()
    await Promise.all(waiting)
  })

  test('is refused when the desk is full, and place is made by every end', async () => {
    const { desk, state } = deskWith({ waitingMax: 2 })
    const callers = [new AbortController(), new AbortController()]
    const waiting = callers.map(({ signal }) => claim(desk, { signal }))
    await settle()
    await expect(claim(desk)).rejects.toThrow('full')
    callers[0]?.abort()
    await waiting[0]
    const third = claim(desk)
    await settle()
    expect(desk.waiting).toBe(2)
    state.failure = new Error('gone')
    wakeUp(desk)
    await expect(third).rejects.toThrow('gone')
    await expect(waiting[1]).rejects.toThrow('gone')
    expect(desk.waiting).toBe(0)
  })
})
