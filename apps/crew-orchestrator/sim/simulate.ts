import { newId } from '@hypercode/contracts'
import { startAgents } from './agents.ts'
import type { Agents } from './agents.ts'
import { cancel, resume, startClients } from './clients.ts'
import type { History } from './clients.ts'
import { Database } from './database/database.ts'
import { createEffectSink } from './effect-sink.ts'
import { installTime } from './fake-time.ts'
import { createChecker } from './invariants.ts'
import type { TaskRow } from './database/rows.ts'
import { Violation, must } from './rules.ts'
import { startPeople } from './people.ts'
import { createRandom } from './random.ts'
import { reap } from './registry.ts'
import { startReplica } from './replica.ts'
import { createScheduler } from './scheduler.ts'
import { createStream } from './stream.ts'
import { CALM, randomWeather } from './world.ts'
import type { World } from './world.ts'

export interface Outcome {
  seed: number
  events: number
  missions: number
  attempts: number
  /** Attempts whose lease ran out. */
  lost: number
  /** Statements that were to hand over what they queued: those that did, and those that found the gate shut. */
  handed: number
  heldBack: number
  unseen: number
  outdated: number
  digest: number
  violation: string | undefined
  trace: readonly string[]
}

export interface SimulateOptions {
  seed: number
  /** At least so many, before the faults end. */
  events: number
  keepsTrace?: boolean
}

/** After the faults, by the clock of the simulation. */
const END_WITHIN_MS = 240_000
const FROZEN_MAX_MS = 8000
const EVENTS_MAX = 60_000

/** Runs one seed to its end: some time of faults, then a calm in which every mission must end. */
export async function simulate({ seed, events, keepsTrace = false }: SimulateOptions): Promise<Outcome> {
  const random = createRandom(seed)
  const scheduler = createScheduler(random, keepsTrace)
  const restore = installTime(scheduler, random)
  const failures: unknown[] = []
  const world = createWorld({ random, scheduler, failures })
  const step = async (): Promise<void> => {
    if (!(await scheduler.step())) throw new Violation('O16 nothing happens any more')
    if (failures.length > 0) throw failures[0]
  }
  let violation: string | undefined
  try {
    for (let index = 0; index < random.int(2, 3); index += 1)
      world.replicas.push(startReplica(world, `replica-${index}`))
    world.background('the registry sweeps', reap(world))
    const agents = startAgents(world, random.int(2, 4))
    const history = startClients(world)
    startPeople(world)
    world.background('fate of replicas', replicaFaults(world))
    world.background('fate of the database', outages(world))
    while (scheduler.events < events) await step()
    calmDown(world)
    await drain(world, agents, step)
    checkEnd(world, history)
  } catch (error) {
    violation =
      error instanceof Violation ? error.message : `unexpected ${error instanceof Error ? error.stack : String(error)}`
  } finally {
    restore()
  }
  const { attempts, missions } = world.database.tables
  return {
    seed,
    events: scheduler.events,
    missions: missions.size,
    attempts: attempts.size,
    lost: [...attempts.values()].filter((attempt) => attempt.outcome === 'lease_lost').length,
    handed: world.database.gates.open,
    heldBack: world.database.gates.shut,
    unseen: world.database.unseen.saved,
    outdated: world.database.unseen.outdated,
    digest: scheduler.digest,
    violation,
    trace: scheduler.trace,
  }
}

function createWorld({
  random,
  scheduler,
  failures,
}: Pick<World, 'random' | 'scheduler'> & { failures: unknown[] }): World {
  const leaseMs = random.int(2000, 5000)
  const fail = (error: unknown): void => void failures.push(error)
  const checker = createChecker(
    () => database,
    () => leaseMs,
  )
  const stream = createStream(() => database)
  const database: Database = new Database({
    scheduler,
    scanMs: () => (random.chance(0.25) ? random.next() * 60 : 0.02),
    onCommit(commit) {
      try {
        checker.check(commit)
        stream.checkRemoved(commit)
      } catch (error) {
        fail(error)
      }
    },
    onDeadlock: (what) => fail(new Violation(`deadlock of ${what}`)),
  })
  return {
    random,
    scheduler,
    database,
    checker,
    sink: createEffectSink(random),
    stream,
    journal: new Map(),
    tenantId: newId(),
    replicas: [],
    sessions: new Set(),
    settings: { leaseMs, pollMs: random.int(500, 2000), sweepMs: random.int(700, 1500), graceMs: 2000 },
    weather: randomWeather(random),
    calm: false,
    outageUntil: 0,
    fail,
    background(name, work) {
      work.catch((error: unknown) => {
        scheduler.note(`${name}: ${String(error)}`)
        fail(error)
      })
    },
  }
}

async function replicaFaults(world: World): Promise<void> {
  const { random, scheduler, replicas } = world
  for (;;) {
    await scheduler.wait(Math.min(world.weather.replicaFaultMs, 1e6) * (0.5 + random.next()), 'fate of replicas')
    if (world.calm) return
    const index = random.int(0, replicas.length - 1)
    const replica = replicas[index]
    if (replica === undefined) return
    if (random.chance(0.5)) replica.freeze(scheduler.now + random.next() * FROZEN_MAX_MS)
    else {
      replica.crash()
      const name = `${replica.name.split('.')[0]}.${Math.round(scheduler.now)}`
      await scheduler.wait(random.next() * 3000, `${name} starts`)
      replicas[index] = startReplica(world, name)
    }
  }
}

async function outages(world: World): Promise<void> {
  const { random, scheduler, sessions } = world
  for (;;) {
    await scheduler.wait(Math.min(world.weather.outageMs, 1e6) * (0.5 + random.next()), 'fate of the database')
    if (world.calm) return
    world.outageUntil = scheduler.now + random.next() * 2 * world.settings.leaseMs
    for (const session of sessions) session.rollback()
    sessions.clear()
  }
}

function calmDown(world: World): void {
  world.scheduler.note('calm')
  world.calm = true
  world.outageUntil = 0
  world.weather = { ...CALM, bellLost: world.weather.bellLost }
}

/** Everything must end now; what only a person can move is moved. */
async function drain(world: World, agents: Agents, step: () => Promise<void>): Promise<void> {
  const { scheduler } = world
  const { tables } = world.database
  const begun = scheduler.now
  const helped = new Set<string>()
  const claimable = new Map<string, number>()
  let lookedAt = 0
  for (;;) {
    await step()
    if (scheduler.now < lookedAt + 500) continue
    lookedAt = scheduler.now
    const open = [...tables.missions.values()].filter((mission) => mission.ended_at === null)
    if (open.length === 0 && tables.outbox.size === 0) return
    for (const mission of open) {
      const tasks = [...tables.tasks.values()].filter((task) => task.mission_id === mission.id)
      const help = mission.state === 'paused' ? resume : tasks.some((task) => isLeft(world, task)) ? cancel : undefined
      if (help === undefined || helped.has(`${help.name} ${mission.id}`)) continue
      helped.add(`${help.name} ${mission.id}`)
      const helping = help(world, mission.id).finally(() => helped.delete(`${help.name} ${mission.id}`))
      world.background('a client helps', helping)
    }
    // A replica that was frozen last is only now at work again.
    if (scheduler.now > begun + FROZEN_MAX_MS) checkProgress(world, agents, claimable)
    if (scheduler.now > begun + END_WITHIN_MS || scheduler.events > EVENTS_MAX) {
      const [mission] = open
      must(mission !== undefined, 'S6', `${tables.outbox.size} rows are left in the outbox`)
      const tasks = [...tables.tasks.values()].filter((task) => task.mission_id === mission?.id)
      throw new Violation(
        `O16 mission ${mission?.id} is ${mission?.state} with ${tasks.map((task) => `${task.key} ${task.state}`).join(', ')}`,
      )
    }
  }
}

/** It is paused, and nobody is going to say whether an effect of it has happened. */
const isLeft = ({ database: { tables } }: World, { id, state }: TaskRow): boolean =>
  state === 'paused' && ![...tables.effects.values()].some((one) => one.task_id === id && one.state === 'unknown')

/** O16: no task is left while somebody who could take it has asked for work all the time. `since` is when each was first seen so. */
function checkProgress(world: World, agents: Agents, since: Map<string, number>): void {
  const { now } = world.scheduler
  const { tasks, missions, queue_controls: controls } = world.database.tables
  const executing = [...tasks.values()].filter((task) => task.state === 'executing')
  /** Its queue and its key have room. */
  const hasPlace = ({ queue, concurrency_key: key, concurrency_limit: limit }: TaskRow): boolean => {
    const control = controls.get(`${world.tenantId}/${queue}`)
    const most = control?.max_executing ?? Number.POSITIVE_INFINITY
    const used = (isSame: (task: TaskRow) => boolean): number => executing.filter(isSame).length
    if (control?.paused_at != null || used((task) => task.queue === queue) >= most) return false
    return key === null || used((task) => task.concurrency_key === key) < (limit ?? 0)
  }
  const withinMs = 5 * world.settings.pollMs + 2000
  const lasting = (id: string, holds: boolean): number => {
    if (!holds) since.delete(id)
    else if (!since.has(id)) since.set(id, now)
    return holds ? now - (since.get(id) as number) : 0
  }
  const idle = agents.all().filter((agent) => lasting(agent.name, agent.isIdle) > withinMs)
  for (const task of tasks.values()) {
    const mission = missions.get(task.mission_id)
    const isCanceled = mission?.cancel_requested_at !== null && mission?.compensating_at === null
    const isClaimable = task.state === 'queued' && !isCanceled && mission?.state !== 'paused' && hasPlace(task)
    const needs = [task.queue, ...task.requires]
    if (lasting(task.id, isClaimable) <= withinMs) continue
    if (idle.some(({ skills }) => needs.every((skill) => skills.includes(skill))))
      throw new Violation(`O16 ${task.key} has been queued for ${withinMs} ms while an agent waits for work`)
  }
}

function checkEnd(world: World, history: History): void {
  const { missions } = world.database.tables
  const byKey = Map.groupBy(missions.values(), (mission) => mission.idempotency_key ?? '')
  for (const [key, { hash, acked }] of history.submits) {
    const found = byKey.get(key) ?? []
    if (found.length > 1) throw new Violation(`O15 ${key} is ${found.length} missions`)
    for (const id of acked) if (found[0]?.id !== id) throw new Violation(`H1 ${key} was acknowledged and is not there`)
    if (found[0] !== undefined && found[0].request_hash !== hash) throw new Violation(`O15 ${key} has another request`)
  }
  checkEffects(world)
  for (const { id, event_seq } of missions.values()) {
    const newest = world.stream.newest(id)
    must(newest === event_seq, 'S6', `${id} has ${event_seq} events and the stream was told of ${newest}`)
  }
}

/** E1: what completed had exactly the effects of its handler. E2: nothing happened of which the ledger does not know. */
function checkEffects({ sink, database: { tables } }: World): void {
  for (const { task_id: id, outcome } of tables.attempts.values()) {
    for (const { kind, name } of sink.toolsOf(id, tables.tasks.get(id)?.key)) {
      if (kind === 'step') continue
      const known = tables.effects.get(`${id}/${name}`)
      must(sink.count(id, name) === 0 || known !== undefined, 'E2', `nobody wrote down the effect ${name} of ${id}`)
      if (outcome !== 'completed') continue
      const isWhole = sink.count(id, name) === 1 && known?.state === 'done'
      must(
        isWhole,
        'E1',
        `${id} is completed, and its effect ${name} happened ${sink.count(id, name)} times and is ${known?.state}`,
      )
    }
  }
}
