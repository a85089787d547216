import type { Keys, Publisher, QueueRef } from '@hypercode/events'
import type { Db } from '@hypercode/db'
import type { Redis } from 'ioredis'
import type { OrchestratorConfig } from '../src/config.ts'
import { createBrake } from '../src/domain/brake.ts'
import type { Brake } from '../src/domain/brake.ts'
import { createEngine } from '../src/engine/engine.ts'
import type { Engine } from '../src/engine/engine.ts'
import { sweepTurn } from '../src/engine/sweep.ts'
import { Violation } from './rules.ts'
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
  const engine = createEngine({
    config,
    db,
    urgentDb: db,
    redis: bellOf(world),
    keys: { bell: 'bell' } as Keys,
    publisher: streamOf(world),
    onTold: undefined,
    onBellFailure: (error) => world.fail(error),
  })
  const brake = withClock(
    createBrake(settings.leaseMs, settings.sweepMs),
    random.next() * 1e6,
    0.95 + random.next() / 10,
  )

  const sweep = async (): Promise<void> => {
    while (isAlive) {
      await scheduler.wait(settings.sweepMs * (0.8 + random.next() * 0.4), `${name} sweeps`)
      if (scheduler.now < frozenUntil) await scheduler.wait(frozenUntil - scheduler.now, `${name} thaws`)
      if (!isAlive) return
      try {
        await sweepTurn({
          db,
          brake,
          cancelGraceMs: settings.graceMs,
          onSaved: engine.after,
          onFault: (error) => {
            if (!isPassing(error)) world.fail(error)
          },
        })
      } catch (error) {
        if (!isPassing(error)) throw error
      }
    }
  }
  world.background(`${name} sweeps`, sweep())
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

/** Doorbells get lost, come twice and in any order. */
function bellOf(world: World): Redis {
  const deliver = (queues: QueueRef[]): void => {
    const { random, scheduler, weather } = world
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
  const xadd = async (...args: unknown[]): Promise<void> => deliver(JSON.parse(String(args.at(-1))) as QueueRef[])
  return { xadd } as unknown as Redis
}

/** Hints of missions: nobody waits for them here, but each must be of a mission that the database knows. */
function streamOf(world: World): Publisher {
  return {
    publishSoon({ hints }) {
      for (const hint of hints) {
        if (hint.kind !== 'mission') continue
        const mission = world.database.tables.missions.get(hint.missionId)
        if (mission === undefined || mission.event_seq < hint.seq)
          world.fail(new Violation(`S7 a hint of event ${hint.seq} that no mission has`))
      }
    },
    relayTurn: async () => 0,
    idle: async () => undefined,
  }
}
