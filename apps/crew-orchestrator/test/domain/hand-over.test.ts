import { newId } from '@hypercode/contracts'
import { describe, expect, test } from 'vitest'
import type { MissionFacts, TaskFacts } from '../../src/domain/facts.ts'
import { GIVEN_CHARS_MAX, NOTHING_HANDED, handOver } from '../../src/domain/hand-over.ts'
import type { Hand, HandOver } from '../../src/domain/hand-over.ts'
import { move, tell } from '../../src/domain/ledger.ts'
import type { Ledger } from '../../src/domain/ledger.ts'
import { aMission, aTask, ledgerWith } from './builders.ts'

const TENANT = newId()
const LEASE_MS = 15_000

const aHand = (changes: Partial<Omit<Hand, 'skills'>> & { skills?: string[] } = {}): Hand => ({
  tenantId: TENANT,
  claimId: newId(),
  owner: newId(),
  incarnation: 1,
  max: 100,
  ...changes,
  skills: new Set(changes.skills ?? ['work']),
})

/** Hands over to these hands; each is borrowed once, the first that fits first, as the desk does it. */
function handOverTo(hands: readonly Hand[], ...ledgers: Ledger[]): HandOver {
  const left = new Set(hands)
  return handOver(ledgers, LEASE_MS, (tenantId, skills) => {
    const hand = [...left].find((one) => one.tenantId === tenantId && skills.every((skill) => one.skills.has(skill)))
    if (hand !== undefined) left.delete(hand)
    return hand
  })
}

/** A mission with these tasks, all of them planned and queued just now. */
function queued(tasks: readonly Partial<TaskFacts>[], mission = aMission({ tenantId: TENANT })) {
  const ledger = ledgerWith(mission)
  const added = tasks.map((changes) => aTask(mission, { state: 'queued', ...changes }))
  for (const task of added) ledger.added.add(task)
  return { ledger, tasks: added, mission }
}

const handed = ({ handOf }: HandOver, tasks: readonly TaskFacts[]): boolean[] => tasks.map((task) => handOf.has(task))
const loads = ({ hands }: HandOver): number[] => [...hands.values()].map((tasks) => tasks.length)

describe('O1 only first attempts that nothing holds back', () => {
  const one = { key: 'one', limit: 1 }
  test.for<[string, Partial<TaskFacts>]>([
    ['with a concurrency key', { concurrency: one }],
    ['in a paused mission', { held: true }],
    ['that was tried before', { attempt: 1 }],
    ['whose input is in the database', { input: undefined }],
    ['that waits for others', { state: 'blocked' }],
    ['that waits for people', { state: 'input_required' }],
    ['that waits for its time', { state: 'scheduled' }],
    ['that has ended', { state: 'completed' }],
  ])('none %s', ([, changes]) => {
    const { ledger, tasks } = queued([changes, {}])
    expect(handed(handOverTo([aHand(), aHand()], ledger), tasks)).toEqual([false, true])
  })

  test.for<[boolean, Partial<MissionFacts>]>([
    [true, { state: 'running' }],
    [false, { state: 'paused' }],
    [false, { state: 'running', canceling: true }],
    [true, { state: 'running', canceling: true, compensating: true }],
    [true, { state: 'running', compensating: true }],
  ])('%s when the mission is %j', ([is, changes]) => {
    const { ledger, tasks } = queued([{}], aMission({ tenantId: TENANT, ...changes }))
    expect(handed(handOverTo([aHand()], ledger), tasks)).toEqual([is])
  })

  test('an input may be null, and what was there before is handed over like what is new', () => {
    const mission = aMission({ tenantId: TENANT })
    const before = aTask(mission, { input: { n: 1 } })
    const ledger = ledgerWith(mission, [before])
    move(ledger, before, 'queued')
    const added = aTask(mission, { state: 'queued', input: null })
    ledger.added.add(added)
    expect(handed(handOverTo([aHand()], ledger), [before, added])).toEqual([true, true])
  })

  test('when there is nothing to hand over, or nobody, nothing is said', () => {
    expect(handOverTo([aHand()], queued([{ held: true }]).ledger)).toBe(NOTHING_HANDED)
    expect(handOverTo([], queued([{}]).ledger)).toBe(NOTHING_HANDED)
    expect(handOverTo([aHand()])).toBe(NOTHING_HANDED)
  })

  test('nobody is borrowed for what is not handed over', () => {
    const asked: string[] = []
    const { ledger } = queued([{ held: true, queue: 'held' }, { queue: 'free' }])
    handOver([ledger], LEASE_MS, (_, skills) => {
      asked.push(...skills)
      return undefined
    })
    expect(asked).toEqual(['free'])
  })
})

describe('O2 who gets what', () => {
  test('a hand gets no more than it asked for; the rest is queued', () => {
    const { ledger, tasks } = queued(Array.from({ length: 5 }, (_, turn) => ({ turn })))
    const over = handOverTo([aHand({ max: 2 }), aHand({ max: 1 })], ledger)
    expect(loads(over)).toEqual([2, 1])
    expect(handed(over, tasks)).toEqual([true, true, true, false, false])
  })

  test('tasks go round the hands, those of several missions too', () => {
    const missions = Array.from({ length: 10 }, () => queued([{}]).ledger)
    expect(loads(handOverTo([aHand(), aHand(), aHand(), aHand()], ...missions))).toEqual([3, 3, 2, 2])
  })

  test('a hand that is full is passed over, and the others go on', () => {
    const { ledger } = queued(Array.from({ length: 9 }, (_, turn) => ({ turn })))
    expect(loads(handOverTo([aHand({ max: 1 }), aHand(), aHand({ max: 2 })], ledger))).toEqual([1, 6, 2])
  })

  test('only one with the skill and all that the task requires', () => {
    const { ledger, tasks } = queued([
      { queue: 'edit', requires: ['rust', 'linux'] },
      { queue: 'edit', requires: ['rust'] },
      { queue: 'edit' },
      { queue: 'review' },
    ])
    const [rust, linux] = [aHand({ skills: ['edit', 'rust'] }), aHand({ skills: ['edit', 'linux'] })]
    const over = handOverTo([rust, linux], ledger)
    expect(tasks.map((task) => over.handOf.get(task))).toEqual([undefined, rust, linux, undefined])
    const full = aHand({ skills: ['linux', 'edit', 'rust'] })
    expect(handOverTo([full], ledger).handOf.get(tasks[0] as TaskFacts)).toBe(full)
  })

  test('a hand that was borrowed for one skill takes tasks of its others', () => {
    const { ledger, tasks } = queued([{ queue: 'edit' }, { queue: 'review' }, { queue: 'edit' }])
    const both = aHand({ skills: ['edit', 'review'] })
    expect(handed(handOverTo([both], ledger), tasks)).toEqual([true, true, true])
  })

  test('never one of another tenant, though it has the skill', () => {
    const other = newId()
    const ours = queued([{}])
    const theirs = queued([{}], aMission({ tenantId: other }))
    const hand = aHand({ tenantId: other })
    const over = handOverTo([hand], theirs.ledger, ours.ledger)
    expect(handed(over, [...ours.tasks, ...theirs.tasks])).toEqual([false, true])
    expect(over.handOf.get(theirs.tasks[0] as TaskFacts)).toBe(hand)
  })

  test('with few hands the best of all missions goes first: a step of priority before sixty turns', () => {
    const first = queued([
      { turn: 0, priority: 0, key: 'a' },
      { turn: 59, priority: 1, key: 'b' },
      { turn: 62, priority: 1, key: 'c' },
    ])
    const second = queued([{ turn: 1, key: 'd' }])
    const order = (max: number): string[] =>
      [...handOverTo([aHand({ max })], first.ledger, second.ledger).handOf.keys()].map(({ key }) => key)
    expect(order(10)).toEqual(['b', 'a', 'd', 'c'])
    expect(order(1)).toEqual(['b'])
  })

  test('the characters of a statement are bounded, but for the first task', () => {
    const half = 'x'.repeat(GIVEN_CHARS_MAX / 2)
    const inputs = (...all: string[]) => queued(all.map((input, turn) => ({ input, turn })))
    const sizes = (...all: string[]): boolean[] => {
      const { ledger, tasks } = inputs(...all)
      return handed(handOverTo([aHand()], ledger), tasks)
    }
    expect(sizes(half + half + half, 'small')).toEqual([true, false])
    expect(sizes('small', half + half, 'small')).toEqual([true, false, false])
    expect(sizes(half, half.slice(100), 'small')).toEqual([true, true, true])
  })

  test('the hands of a statement are bounded, and nobody is borrowed in vain', () => {
    const { ledger } = queued(Array.from({ length: 1000 }, (_, turn) => ({ turn })))
    const borrowed: Hand[] = []
    const over = handOver([ledger], LEASE_MS, () => {
      borrowed.push(aHand({ max: 2 }))
      return borrowed.at(-1)
    })
    expect(borrowed).toHaveLength(200)
    expect(loads(over).every((load) => load === 2)).toBe(true)
  })

  test('a mission of 20,000 tasks holds the process up no longer than one of few', () => {
    const { ledger } = queued(Array.from({ length: 20_000 }, (_, turn) => ({ turn })))
    let looks = 0
    const has = (): boolean => {
      looks += 1
      return true
    }
    handOver([ledger], LEASE_MS, () => ({ ...aHand({ max: 10 }), skills: Object.assign(new Set(['work']), { has }) }))
    expect(looks).toBeLessThan(500_000)
  })
})

describe('O3 the events of a hand-over', () => {
  test('come behind all others of their mission, with what a claim would tell', () => {
    const { ledger, tasks, mission } = queued([{ key: 'a' }, { key: 'b' }])
    for (const type of ['mission.submitted', 'task.queued', 'task.queued'] as const) tell(ledger, mission, type, null)
    const hand = aHand()
    const over = handOverTo([hand], ledger)
    const claimed = (n: number) => ({
      missionId: mission.id,
      seq: 5 + n,
      type: 'task.claimed',
      taskId: tasks[n]?.id,
      body: { key: tasks[n]?.key, attempt: 1, agentInstanceId: hand.owner },
    })
    const started = { missionId: mission.id, seq: 4, type: 'mission.started', taskId: null, body: {} }
    expect(over.events).toEqual([started, claimed(0), claimed(1)])
    expect(over.eventsOf).toEqual(new Map([[mission.id, 3]]))
    expect(over.leaseMs).toBe(LEASE_MS)
  })

  test('leave the ledger as it is: when they are not told, their numbers are free', () => {
    const { ledger, tasks, mission } = queued([{}])
    tell(ledger, mission, 'mission.submitted', null)
    const before = structuredClone([ledger.events, mission, tasks])
    expect(handOverTo([aHand()], ledger).events).toHaveLength(2)
    expect([ledger.events, mission, tasks]).toEqual(before)
  })

  test('say that a mission starts only when it has not', () => {
    const { ledger, mission } = queued([{}], aMission({ tenantId: TENANT, state: 'running', eventSeq: 7 }))
    const over = handOverTo([aHand()], ledger)
    expect(over.events.map(({ type, seq }) => [type, seq])).toEqual([['task.claimed', 8]])
    expect(over.eventsOf.get(mission.id)).toBe(1)
  })

  test('are numbered for each mission by itself, also when one ledger has several', () => {
    const first = aMission({ tenantId: TENANT, eventSeq: 10 })
    const second = aMission({ tenantId: TENANT, eventSeq: 20, state: 'running' })
    const ledger = ledgerWith(first)
    ledger.missions.set(second.id, second)
    for (const mission of [first, second, first, second]) ledger.added.add(aTask(mission, { state: 'queued' }))
    const third = queued([{}])
    const over = handOverTo([aHand({ max: 3 }), aHand({ max: 2 })], ledger, third.ledger)
    const seqs = (id: string): number[] => over.events.filter((one) => one.missionId === id).map(({ seq }) => seq)
    expect([seqs(first.id), seqs(second.id), seqs(third.mission.id)]).toEqual([
      [11, 12, 13],
      [21, 22],
      [1, 2],
    ])
    expect(Object.fromEntries(over.eventsOf)).toEqual({ [first.id]: 3, [second.id]: 2, [third.mission.id]: 2 })
  })
})
