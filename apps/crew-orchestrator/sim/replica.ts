import { createPublisher, makeKeys } from '@hypercode/events'
import type { Hint, QueueRef } from '@hypercode/events'
import type { Db } from '@hypercode/db'
import type { Redis } from 'ioredis'
import type { OrchestratorConfig } from '../src/config.ts'
import { createBrake } from '../src/domain/brake.ts'
import type { Brake } from '../src/domain/brake.ts'
import { createEngine } from '../src/engine/engine.ts'
import type { Engine } from '../src/engine/engine.ts'
import { sweepTurn } from '../src/engine/sweep.ts'
import type { Session } from './database/database.ts'
import { connect } from './database/driver.ts'
import { isPassing, noAnswer } from './world.ts'
import type { World } from './world.ts'

/** An orchestrator: the real engine, its loops, and a life of its own. */
export interface Replica {
  readonly name: string
  readonly engine: Engine
  readonly db: Db
  readonly isAlive: boolean
  /** Resolves when it dies. */
  readonly death: Promise<void>
  /** Nothing that it hears or does gets on before then. */
  freeze(untilMs: number): void
  crash(): void
}

export function startReplica(world: World, name: string): Replica {
  const { random, scheduler, settings } = world
  // What the engine looks at; the rest is for servers that are not here.
  const config = {
    AGENT_LEASE_MS: settings.leaseMs,
    CLAIM_POLL_MS: settings.pollMs,
    CLAIMS_WAITING_MAX: 5000,
    LANE_BATCH_MAX: random.pick([2, 1000]),
    LANE_WAITING_MAX: 20_000,
    MISSIONS_OPEN_MAX: 100_000,
  } as OrchestratorConfig
  const sessions = new Set<Session>()
  let isAlive = true
  let frozenUntil = 0
  const { promise: death, resolve: die } = Promise.withResolvers<void>()

  const travel = async (label: string): Promise<void> => {
    const { weather } = world
    const delayMs = random.chance(weather.slow) ? random.next() * 150 : random.next() * 1.5
    await scheduler.wait(Math.max(delayMs, frozenUntil - scheduler.now), label)
    // The rest of a process that was killed never gets on.
    if (!isAlive) await new Promise(() => undefined)
    if (scheduler.now < world.outageUntil || random.chance(weather.requestLost)) throw noAnswer()
  }
  const opened = (session: Session): void => {
    for (const one of [...sessions]) if (one.isOver) sessions.delete(one)
    sessions.add(session)
    world.sessions.add(session)
  }
  const db = connect(world.database, { name, travel, opened })
  const redis = redisOf(world, travel)
  const publisher = createPublisher({
    db,
    redis,
    keys: KEYS,
    onFailure: (error) => {
      if (!isPassing(error)) world.fail(error)
    },
  })
  const engine = createEngine({
    config,
    db,
    urgentDb: db,
    redis,
    keys: KEYS,
    publisher,
    onTold: undefined,
    onBellFailure: (error) => world.fail(error),
  })
  const brake = withClock(
    createBrake(settings.leaseMs, settings.sweepMs),
    random.next() * 1e6,
    0.95 + random.next() / 10,
  )

  /** One turn after the other, as long as it lives. */
  const loop = async (what: string, everyMs: number, turn: () => Promise<unknown>): Promise<void> => {
    while (isAlive) {
      await scheduler.wait(everyMs * (0.8 + random.next() * 0.4), `${name} ${what}`)
      if (scheduler.now < frozenUntil) await scheduler.wait(frozenUntil - scheduler.now, `${name} thaws`)
      if (!isAlive) return
      try {
        await turn()
      } catch (error) {
        if (!isPassing(error)) throw error
      }
    }
  }
  const sweep = async (): Promise<number> =>
    sweepTurn({
      db,
      brake,
      cancelGraceMs: settings.graceMs,
      onSaved: engine.after,
      onFault: (error) => {
        if (!isPassing(error)) world.fail(error)
      },
    })
  world.background(`${name} sweeps`, loop('sweeps', settings.sweepMs, sweep))
  world.background(
    `${name} relays`,
    loop('relays', 1000, async () => publisher.relayTurn()),
  )
  return {
    name,
    engine,
    db,
    death,
    get isAlive() {
      return isAlive
    },
    freeze(untilMs) {
      frozenUntil = untilMs
    },
    crash() {
      isAlive = false
      for (const session of sessions) session.rollback()
      die()
    },
  }
}

/** The clock of this process goes by its own speed and began at another time. */
const withClock = (brake: Brake, offsetMs: number, rate: number): Brake => ({
  allow: (nowMs, expired, live) => brake.allow(nowMs * rate + offsetMs, expired, live),
  failed: () => brake.failed(),
  get holding() {
    return brake.holding
  },
})

/** Doorbells get lost, come twice and in any order. What is sent to the event stream arrives or not, and who sent it may not hear which. */
function redisOf(world: World, travel: (label: string) => Promise<void>): Redis {
  const { random, scheduler } = world
  const ring = (queues: QueueRef[]): void => {
    const { weather } = world
    for (const replica of world.replicas) {
      if (random.chance(weather.bellLost)) continue
      const times = random.chance(weather.bellDoubled) ? 2 : 1
      for (let time = 0; time < times; time += 1) {
        scheduler.at(random.next() * 40, `${replica.name} hears a bell`, () => {
          if (replica.isAlive) replica.engine.desk.wake(queues)
        })
      }
    }
  }
  const xadd = async (stream: string, ...words: unknown[]): Promise<void> => {
    const entry = String(words.at(-1))
    if (stream === KEYS.bell) {
      ring(JSON.parse(entry) as QueueRef[])
      return
    }
    await travel('hints travel to the stream')
    world.stream.append(JSON.parse(entry) as Hint[])
    if (random.chance(world.weather.replyLost)) throw noAnswer()
  }
  return { xadd } as unknown as Redis
}

const KEYS = makeKeys()
