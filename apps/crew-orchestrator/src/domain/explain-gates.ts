import { blueprintOfMark, parseClaimSkill } from '@hypercode/contracts'
import { cutReason } from './exhaust.ts'
import { budget, mission } from './explain-mission-gates.ts'
import type { ExplainFacts, Holder } from './explain.ts'
import { pass, since, until } from './gate-of.ts'
import type { GateOf } from './gate-of.ts'

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

const children: GateOf = ({ state, reason, blockers, blockedBy, child, wait: waits, mission: around }) => {
  if (state !== 'waiting' || waits !== null) return undefined
  if (blockedBy > 0)
    return {
      gate: 'children',
      status: 'wait',
      detail: `${blockedBy} of its elements have not ended: ${named(blockers, blockedBy)}`,
      holders: [...blockers],
    }
  if (child === null) return { gate: 'children', status: 'wait', detail: reason ?? 'what it waits for has just ended' }
  const { id, name, isPaused } = child
  return {
    gate: 'children',
    status: isPaused ? 'fail' : 'wait',
    detail: `mission ${id} of crew ${name} does its work${isPaused ? ', and is paused' : ''}`,
    holders: [{ kind: 'mission', id, name }],
    // One that is paused with the mission of the task goes on with that.
    ...(isPaused && !around.isPaused ? { command: { method: 'POST', path: `/v1/missions/${id}:resume` } } : {}),
  }
}

const wait: GateOf = ({ missionId, wait: waits }) => {
  if (waits === null || waits.kind === 'approval') return undefined
  const shut = { gate: 'wait', status: 'wait', ...since(waits.since), ...until(waits.fireAt) } as const
  if (waits.kind === 'timer') return { ...shut, detail: `sleeps: ${waits.name}` }
  return {
    ...shut,
    detail: `waits for the signal ${waits.signal}`,
    command: { method: 'POST', path: `/v1/missions/${missionId}:signal` },
  }
}

const approval: GateOf = ({ approval: asked, verification: verifying }) =>
  asked === null || verifying !== null
    ? undefined
    : {
        gate: 'approval',
        status: 'fail',
        detail: `people have not decided: ${asked.title}`,
        holders: [{ kind: 'approval', id: asked.id }],
        ...since(asked.since),
        ...until(asked.deadlineAt),
        command: { method: 'POST', path: `/v1/approvals/${asked.id}:approve` },
      }

const verification: GateOf = ({ verification: verifying, approval: asked }) => {
  if (verifying === null) return undefined
  const { kind, round, since: begun, reviewer } = verifying
  const shut = { gate: 'verification', status: 'wait', ...since(begun) } as const
  if (reviewer !== null) {
    const { id, name, state } = reviewer
    return {
      ...shut,
      detail: `round ${round}: ${name} verifies its output by ${kind}, and is ${state}`,
      holders: [{ kind: 'task', id, name }],
      command: { method: 'GET', path: `/v1/tasks/${id}:explain` },
    }
  }
  if (asked === null) return { ...shut, detail: `round ${round}: its output is being verified` }
  return {
    ...shut,
    status: 'fail',
    detail: `round ${round}: people have not decided about its output: ${asked.title}`,
    holders: [{ kind: 'approval', id: asked.id }],
    ...until(asked.deadlineAt),
    command: { method: 'POST', path: `/v1/approvals/${asked.id}:approve` },
  }
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

const attempts: GateOf = ({ state, letter, attempt, reason }) =>
  state !== 'paused'
    ? pass(
        'attempts',
        attempt === 0 ? 'no attempt was made yet' : `${attempt} attempts were made, and more are allowed`,
      )
    : {
        gate: 'attempts',
        status: 'fail',
        detail:
          letter === null
            ? `it is paused until people decide: ${reason ?? 'it says no reason'}`
            : `${attempt === 0 ? 'it failed before its first attempt' : `it failed with attempt ${attempt}`}, and people decide what becomes of it: ${letter.error.code}: ${cutReason(letter.error.message)}`,
        ...(letter === null
          ? {}
          : {
              holders: [{ kind: 'deadLetter', id: letter.id }],
              ...since(letter.createdAt),
              command: { method: 'POST', path: `/v1/dead-letters/${letter.id}:replay` },
            }),
      }

const queueOpen: GateOf = ({ queue, control: { pausedAt } }) =>
  pausedAt === null
    ? pass('queue', `queue ${queue} is open`)
    : {
        gate: 'queue',
        status: 'fail',
        detail: `queue ${queue} is paused`,
        ...since(pausedAt),
        command: { method: 'POST', path: `/v1/queues/${queue}:resume` },
      }

const queueLimit: GateOf = ({ queue, control: { maxExecuting, executing } }) => {
  if (maxExecuting === null) return undefined
  if (executing < maxExecuting)
    return pass('queueLimit', `${executing} of ${maxExecuting} places of the queue are taken`)
  return {
    gate: 'queueLimit',
    status: 'wait',
    detail: `all ${maxExecuting} places of queue ${queue} are taken`,
    command: { method: 'PUT', path: `/v1/queues/${queue}/limits` },
  }
}

const concurrency: GateOf = ({ concurrency: bound }) => {
  if (bound === null) return undefined
  const { key, limit, executing, by } = bound
  if (executing < limit) return pass('concurrency', `${executing} of ${limit} places of key ${key} are taken`)
  return {
    gate: 'concurrency',
    status: 'wait',
    detail: `all ${limit} places of key ${key} are taken`,
    holders: [...by],
  }
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

/** In the order in which they are passed. */
export const GATES_IN_ORDER: readonly GateOf[] = [
  unlessRunning(budget),
  mission,
  ...[
    dependencies,
    children,
    schedule,
    wait,
    approval,
    verification,
    attempts,
    queueOpen,
    queueLimit,
    concurrency,
    skills,
    pool,
    blueprint,
    agentsAlive,
    slots,
  ].map(unlessRunning),
  lease,
]
