import type { Database } from './database/database.ts'
import type { Session } from './database/database.ts'
import { DatabaseError } from './database/errors.ts'
import type { EffectSink } from './effect-sink.ts'
import type { Checker } from './invariants.ts'
import type { Random } from './random.ts'
import type { Replica } from './replica.ts'
import type { Scheduler } from './scheduler.ts'
import type { Stream } from './stream.ts'

/** How often what goes wrong; each seed has its own mixture. Probabilities of a single message, or means between events. */
export interface Weather {
  requestLost: number
  replyLost: number
  slow: number
  bellLost: number
  bellDoubled: number
  replicaFaultMs: number
  agentFaultMs: number
  outageMs: number
}

export const CALM: Omit<Weather, 'bellLost'> = {
  requestLost: 0,
  replyLost: 0,
  slow: 0,
  bellDoubled: 0,
  replicaFaultMs: Number.POSITIVE_INFINITY,
  agentFaultMs: Number.POSITIVE_INFINITY,
  outageMs: Number.POSITIVE_INFINITY,
}

export interface World {
  readonly random: Random
  readonly scheduler: Scheduler
  readonly database: Database
  readonly checker: Checker
  readonly sink: EffectSink
  readonly stream: Stream
  /** Steps that an attempt was told are recorded, by `task/name`, with the first that was. */
  readonly journal: Map<string, { attempt: number; response: unknown }>
  readonly tenantId: string
  readonly replicas: Replica[]
  readonly sessions: Set<Session>
  readonly settings: Settings
  weather: Weather
  /** Faults are over: from here on everything must come to its end. */
  calm: boolean
  outageUntil: number
  /** Ends the simulation. */
  fail(error: unknown): void
  /** Runs something in the background; an error that nobody expects is a violation. */
  background(name: string, work: Promise<void>): void
}

export interface Settings {
  leaseMs: number
  pollMs: number
  sweepMs: number
  graceMs: number
}

export function randomWeather(random: Random): Weather {
  const often = random.pick([0, 0.01, 0.03])
  return {
    requestLost: often,
    replyLost: often * random.pick([0, 1, 2]),
    slow: random.pick([0.01, 0.05]),
    bellLost: random.pick([0, 0.3, 1]),
    bellDoubled: random.pick([0, 0.3]),
    replicaFaultMs: random.pick([3000, 8000, 20_000]),
    agentFaultMs: random.pick([1500, 4000, 10_000]),
    outageMs: random.pick([10_000, 60_000]),
  }
}

/** What a caller sees when it got no answer. */
export const noAnswer = (): DatabaseError => new DatabaseError('08006', 'Connection terminated: no answer')

const refuse = (): never => {
  throw noAnswer()
}

/** Asks some replica over a network that loses requests and answers, and a replica that may die meanwhile. */
export async function call<T>(world: World, what: string, work: (replica: Replica) => Promise<T>): Promise<T> {
  const { random, scheduler, weather } = world
  const alive = world.replicas.filter((replica) => replica.isAlive)
  const replica = alive.length === 0 ? undefined : random.pick(alive)
  await scheduler.wait(random.next() * 3, what)
  if (replica === undefined || !replica.isAlive || random.chance(weather.requestLost)) throw noAnswer()
  const answer = await Promise.race([work(replica), replica.death.then(refuse)])
  if (random.chance(weather.replyLost)) throw noAnswer()
  return answer
}

/** True of errors after which nobody knows whether it was done, or that ask for another try. */
export function isPassing(error: unknown): boolean {
  const { code } = error as { code?: unknown }
  return (
    typeof code === 'string' &&
    (code.startsWith('08') || ['55P03', '57P01', 'ECONNREFUSED', 'unavailable', 'rate_limited'].includes(code))
  )
}
