import { MISSION_EVENTS, MISSION_STATES, TASK_STATES } from '@hypercode/contracts'
import type { MissionState, TaskState } from '@hypercode/contracts'
import { LEGAL_TASK_MOVES } from '@hypercode/testkit/invariants'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { InvariantError } from '../../src/domain/errors.ts'
import type { MissionFacts, TaskFacts } from '../../src/domain/facts.ts'
import { move, plan } from '../../src/domain/ledger.ts'
import type { Ledger } from '../../src/domain/ledger.ts'
import {
  MISSION_MOVES,
  TASK_MOVES,
  assertMissionMove,
  assertTaskMove,
  isDone,
  isMissionTerminal,
  isTerminal,
} from '../../src/domain/states.ts'
import { aMission, aTask, ledgerWith } from './builders.ts'

const reachableFrom = <S extends string>(start: S, moves: Readonly<Record<S, readonly S[]>>): Set<S> => {
  const found = new Set<S>([start])
  for (const state of found) for (const next of moves[state]) found.add(next)
  return found
}

describe('the tables of states', () => {
  test('every state of a task has a row, and is reachable from its birth', () => {
    expect(Object.keys(TASK_MOVES).sort()).toEqual([...TASK_STATES].sort())
    expect([...reachableFrom('blocked', TASK_MOVES)].sort()).toEqual([...TASK_STATES].sort())
  })

  test('every state of a mission has a row, and is reachable from its birth', () => {
    expect(Object.keys(MISSION_MOVES).sort()).toEqual([...MISSION_STATES].sort())
    expect([...reachableFrom('submitted', MISSION_MOVES)].sort()).toEqual([...MISSION_STATES].sort())
  })

  test('terminal states are these, and from every other one an end can be reached', () => {
    expect(TASK_STATES.filter(isTerminal)).toEqual(['completed', 'failed', 'canceled', 'rejected', 'skipped'])
    expect(MISSION_STATES.filter(isMissionTerminal)).toEqual(['completed', 'failed', 'canceled'])
    for (const state of TASK_STATES) expect([...reachableFrom(state, TASK_MOVES)].some(isTerminal)).toBe(true)
    for (const state of MISSION_STATES)
      expect([...reachableFrom(state, MISSION_MOVES)].some(isMissionTerminal)).toBe(true)
    expect(TASK_STATES.filter(isDone)).toEqual(['completed', 'skipped'])
  })

  test('whatever may be canceled by a person has a way to canceled', () => {
    const open = TASK_STATES.filter((state) => !isTerminal(state))
    for (const state of open) expect(TASK_MOVES[state], state).toContain('canceled')
    for (const state of MISSION_STATES.filter((one) => !isMissionTerminal(one)))
      expect(MISSION_MOVES[state]).toContain('canceled')
  })

  test('a move outside of the table is refused and named', () => {
    expect(() => assertTaskMove('completed', 'queued')).toThrow('completed → queued')
    expect(() => assertMissionMove('canceled', 'running')).toThrow('canceled → running')
    for (const from of TASK_STATES)
      for (const to of TASK_STATES) {
        if (TASK_MOVES[from].includes(to)) assertTaskMove(from, to)
        else expect(() => assertTaskMove(from, to)).toThrow(InvariantError)
      }
  })
})

/** States that only a claim or a birth gives; a ledger refuses them. */
const NOT_BY_LEDGER: readonly TaskState[] = ['executing', 'blocked']

interface Model {
  states: TaskState[]
  moves: number
}
interface Real {
  ledger: Ledger
  mission: MissionFacts
  tasks: TaskFacts[]
}

class Add implements fc.Command<Model, Real> {
  check = (): boolean => true
  run(model: Model, { ledger, mission, tasks }: Real): void {
    const task = aTask(mission, { key: `t${tasks.length}` })
    plan(ledger, task)
    tasks.push(task)
    model.states.push('blocked')
    expectTrue(model, { ledger, mission, tasks })
  }
  toString = (): string => 'add'
}

class Move implements fc.Command<Model, Real> {
  readonly index: number
  readonly to: TaskState
  constructor(index: number, to: TaskState) {
    this.index = index
    this.to = to
  }
  check = (model: Readonly<Model>): boolean => model.states.length > 0
  run(model: Model, real: Real): void {
    const at = this.index % model.states.length
    const task = real.tasks[at] as TaskFacts
    const from = model.states[at] as TaskState
    const before = { events: real.ledger.events.length, open: real.mission.openTasks, news: real.ledger.news.length }
    const act = (): void => move(real.ledger, task, this.to)
    if (TASK_MOVES[from].includes(this.to) && !NOT_BY_LEDGER.includes(this.to)) {
      act()
      model.states[at] = this.to
      model.moves += 1
      expect(real.ledger.events.at(-1)).toMatchObject({ taskId: task.id, missionId: real.mission.id })
      expect(MISSION_EVENTS).toContain(real.ledger.events.at(-1)?.type)
      expect(real.ledger.news.includes(task)).toBe(isTerminal(this.to))
    } else {
      expect(act).toThrow(InvariantError)
      expect({
        events: real.ledger.events.length,
        open: real.mission.openTasks,
        news: real.ledger.news.length,
      }).toEqual(before)
    }
    expectTrue(model, real)
  }
  toString = (): string => `move ${this.index} to ${this.to}`
}

/** G1: one event per move; G2: open tasks are counted right; G3: events are 1..n. */
function expectTrue(model: Model, { ledger, mission, tasks }: Real): void {
  expect(tasks.map((task) => task.state)).toEqual(model.states)
  expect(ledger.events.length).toBe(model.moves)
  expect(mission.openTasks).toBe(model.states.filter((state) => !isTerminal(state)).length)
  expect(mission.totalTasks).toBe(model.states.length)
  expect(ledger.events.map((event) => event.seq)).toEqual(ledger.events.map((_, index) => index + 1))
  expect(mission.eventSeq).toBe(ledger.events.length)
}

test('whatever moves are tried, a ledger keeps G1, G2 and G3', () => {
  const commands = fc.commands(
    [
      fc.constant(new Add()),
      fc.tuple(fc.nat(7), fc.constantFrom(...TASK_STATES)).map(([index, to]) => new Move(index, to)),
    ],
    { maxCommands: 60 },
  )
  fc.assert(
    fc.property(commands, (list) => {
      fc.modelRun(() => {
        const mission = aMission()
        return { model: { states: [], moves: 0 }, real: { mission, ledger: ledgerWith(mission), tasks: [] } }
      }, list)
    }),
    { numRuns: 200 },
  )
})

test('a task of another mission cannot be moved', () => {
  const ledger = ledgerWith(aMission())
  expect(() => move(ledger, aTask(aMission()), 'queued')).toThrow('not in the ledger')
})

test('a completion clears the error of earlier attempts and keeps the output', () => {
  const mission = aMission()
  const task = aTask(mission, { state: 'executing', attempt: 2, error: { code: 'boom', message: 'earlier' } })
  const ledger = ledgerWith(mission, [task])
  move(ledger, task, 'completed', { output: { n: 1 } })
  expect(task).toMatchObject({ error: null, output: { n: 1 }, state: 'completed' })
  expect(ledger.events).toMatchObject([{ type: 'task.completed', body: { key: 'task', attempt: 2 } }])
})

test('the mission states are typed as the contract says', () => {
  const states: readonly MissionState[] = MISSION_STATES
  expect(states).toHaveLength(6)
})

// The checker keeps a table of its own, so that nobody changes what is legal by changing the code alone.
test('the moves of a task are the documented ones', () => {
  expect(TASK_MOVES).toEqual(LEGAL_TASK_MOVES)
})
