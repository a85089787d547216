import { blueprintOfMark, parseClaimSkill } from '@hypercode/contracts'
import type { Explanation, Gate, TaskState } from '@hypercode/contracts'
import { isTerminal } from './states.ts'

/** What one look into the database says about a task and everything that it may wait for. */
export interface ExplainFacts {
  at: Date
  id: string
  missionId: string
  key: string
  state: TaskState
  reason: string | null
  queue: string
  requires: readonly string[]
  attempt: number
  createdAt: Date
  /** When it may be claimed, or became so. */
  availableAt: Date | null
  mission: { cancelRequestedAt: Date | null }
  /** Of what it waits for, as many as are named, and how many there are. */
  blockers: readonly Holder[]
  blockedBy: number
  letter: { id: string; createdAt: Date } | null
  lease: Lease | null
  agents: Agents
}

type Holder = NonNullable<Gate['holders']>[number]

interface Lease {
  instanceId: string
  startedAt: Date
  expiresAt: Date
  attemptDeadlineAt: Date | null
}

/** Instances of the tenant that are not gone, by how much of what the task needs they have. */
export interface Agents {
  /** Its skills, in whatever pool and of whatever blueprint. */
  skilled: number
  pooled: number
  fitting: number
  /** Fitting, ready and beating. */
  alive: number
  /** Alive with a free slot: one of them can claim it now. */
  free: number
  /** What the alive ones do instead, and when the first of that must end. */
  busyWith: readonly Holder[]
  busyUntil: Date | null
}

/** Every gate that a task has to pass, from the facts of one instant. It is claimable when each of them is open. */
export function explain(facts: ExplainFacts): Explanation {
  const gates = isTerminal(facts.state) ? [] : GATES_IN_ORDER.flatMap((gate) => gate(facts) ?? [])
  const shut = gates.find(({ status }) => status !== 'pass')
  return {
    taskId: facts.id,
    missionId: facts.missionId,
    key: facts.key,
    state: facts.state,
    verdict: verdictOf(facts.state, shut),
    summary: summaryOf(facts, shut),
    gates,
    at: facts.at.toISOString(),
  }
}

function verdictOf(state: TaskState, shut: Gate | undefined): Explanation['verdict'] {
  if (isTerminal(state)) return 'ended'
  if (state === 'executing') return 'running'
  return shut === undefined && state === 'queued' ? 'claimable' : 'waiting'
}

function summaryOf({ state, reason, attempt }: ExplainFacts, shut: Gate | undefined): string {
  if (isTerminal(state)) return reason === null ? `it is ${state}` : `it is ${state}: ${reason}`
  if (state === 'executing') return `attempt ${attempt} is running`
  return shut?.detail ?? 'nothing holds it: the next claim of a fitting agent gets it when its turn has come'
}

type GateOf = (facts: ExplainFacts) => Gate | undefined

const pass = (gate: Gate['gate'], detail: string): Gate => ({ gate, status: 'pass', detail })
const since = (at: Date | null): { since: string } | undefined =>
  at === null ? undefined : { since: at.toISOString() }
const until = (at: Date | null): { expectedAt: string } | undefined =>
  at === null ? undefined : { expectedAt: at.toISOString() }

const mission: GateOf = ({ missionId, mission: { cancelRequestedAt } }) =>
  cancelRequestedAt === null
    ? pass('mission', 'the mission goes on')
    : {
        gate: 'mission',
        status: 'fail',
        detail: 'the mission is being canceled, and begins nothing any more',
        holders: [{ kind: 'mission', id: missionId }],
        ...since(cancelRequestedAt),
      }

const dependencies: GateOf = ({ state, blockers, blockedBy, createdAt }) => {
  if (state !== 'blocked') return pass('dependencies', 'what it depends on is done')
  return {
    gate: 'dependencies',
    status: 'wait',
    detail: `waits for ${blockedBy} of its dependencies: ${named(blockers, blockedBy)}`,
    holders: [...blockers],
    ...since(createdAt),
  }
}

const children: GateOf = ({ state, blockers, blockedBy }) =>
  state !== 'waiting' || blockedBy === 0
    ? undefined
    : {
        gate: 'children',
        status: 'wait',
        detail: `${blockedBy} of its elements have not ended: ${named(blockers, blockedBy)}`,
        holders: [...blockers],
      }

const named = (holders: readonly Holder[], total: number): string =>
  holders.map(({ id, name }) => name ?? id).join(', ') + (total > holders.length ? ', …' : '')

const schedule: GateOf = ({ state, reason, attempt, availableAt }) =>
  state !== 'scheduled'
    ? pass('schedule', attempt === 0 ? 'it has not been put off' : 'the pause after its last attempt is over')
    : {
        gate: 'schedule',
        status: 'wait',
        detail: `pauses before attempt ${attempt + 1}${reason === null ? '' : `: ${reason}`}`,
        ...until(availableAt),
      }

const attempts: GateOf = ({ state, letter, attempt }) =>
  state !== 'paused'
    ? pass(
        'attempts',
        attempt === 0 ? 'no attempt was made yet' : `${attempt} attempts were made, and more are allowed`,
      )
    : {
        gate: 'attempts',
        status: 'fail',
        detail: `its ${attempt} attempts are used up, and its policy is to ask people`,
        ...(letter === null
          ? {}
          : {
              holders: [{ kind: 'deadLetter', id: letter.id }],
              ...since(letter.createdAt),
              command: { method: 'POST', path: `/v1/dead-letters/${letter.id}:replay` },
            }),
      }

const skills: GateOf = (facts) => {
  const { agents, availableAt } = facts
  const needed = plainSkills(facts).join(', ')
  if (agents.skilled > 0) return pass('skills', `${agents.skilled} registered instances have ${needed}`)
  return {
    gate: 'skills',
    status: 'fail',
    detail: `no registered instance has ${needed}`,
    ...since(availableAt),
    command: { method: 'POST', path: '/v1/agents' },
  }
}

const pool: GateOf = ({ queue, agents }) => {
  const { pool: name } = parseClaimSkill(queue)
  if (name === undefined) return undefined
  if (agents.pooled > 0) return pass('pool', `${agents.pooled} of them are in pool ${name}`)
  return { gate: 'pool', status: 'fail', detail: `no instance with these skills is in pool ${name}` }
}

const blueprint: GateOf = ({ requires, agents }) => {
  const reference = requires.map(blueprintOfMark).find((one) => one !== undefined)
  if (reference === undefined) return undefined
  if (agents.fitting > 0) return pass('blueprint', `${agents.fitting} of them are of blueprint ${reference}`)
  const [name, version] = reference.split('@') as [string, string]
  return {
    gate: 'blueprint',
    status: 'fail',
    detail: `none of them is of blueprint ${reference}`,
    command: { method: 'POST', path: `/v1/blueprints/${name}/versions/${version}:spawn` },
  }
}

/** An instance that is silent, warming or draining may be back in a moment; where there is none, only people can help. */
const agentsAlive: GateOf = ({ agents }) => {
  if (agents.alive > 0) return pass('agents', `${agents.alive} fitting instances are ready and beat`)
  return {
    gate: 'agents',
    status: agents.fitting > 0 ? 'wait' : 'fail',
    detail:
      agents.fitting > 0 ? `none of the ${agents.fitting} fitting instances is ready and beats` : 'no instance fits',
  }
}

const slots: GateOf = ({ agents, availableAt }) => {
  if (agents.free > 0) return pass('slots', `${agents.free} of them have a free slot`)
  return {
    gate: 'slots',
    status: agents.alive > 0 ? 'wait' : 'fail',
    detail: agents.alive > 0 ? `all ${agents.alive} fitting instances are busy` : 'there is no instance with a slot',
    ...(agents.busyWith.length === 0 ? {} : { holders: [...agents.busyWith] }),
    ...since(availableAt),
    ...until(agents.busyUntil),
  }
}

const lease: GateOf = ({ lease: held, attempt, key }) =>
  held === null
    ? pass('lease', 'no attempt is running')
    : {
        gate: 'lease',
        status: 'wait',
        detail: `attempt ${attempt} of ${key} is in the hands of an agent, and its lease is renewed while that beats`,
        holders: [{ kind: 'instance', id: held.instanceId }],
        since: held.startedAt.toISOString(),
        ...until(held.attemptDeadlineAt ?? held.expiresAt),
      }

/** The skills that people have written down. */
export const plainSkills = ({ queue, requires }: Pick<ExplainFacts, 'queue' | 'requires'>): string[] =>
  [queue, ...requires].filter((one) => blueprintOfMark(one) === undefined).map((one) => parseClaimSkill(one).skill)

/** Of a running task only what ends it says anything. */
const unlessRunning =
  (gate: GateOf): GateOf =>
  (facts) =>
    facts.state === 'executing' ? undefined : gate(facts)

const GATES_IN_ORDER: readonly GateOf[] = [
  mission,
  ...[dependencies, children, schedule, attempts, skills, pool, blueprint, agentsAlive, slots].map(unlessRunning),
  lease,
]
