import { newId } from '@hypercode/contracts'
import { cancelMission } from '../src/engine/cancel.ts'
import { pauseMission, resumeMission } from '../src/engine/pause.ts'
import { signalMission } from '../src/engine/signal.ts'
import type { SubmitOrder } from '../src/engine/submit.ts'
import { randomCrew } from './crews.ts'
import { Violation } from './rules.ts'
import { call, isPassing } from './world.ts'
import type { World } from './world.ts'

/** What clients were promised. */
export interface History {
  /** By idempotency key. */
  readonly submits: Map<string, { hash: string; acked: Set<string> }>
  readonly pausedByUs: Set<string>
}

/** Submits missions until the weather is calm, and interferes with them. */
export function startClients(world: World): History {
  const history: History = { submits: new Map(), pausedByUs: new Set() }
  world.background('clients submit', submitLoop(world, history))
  world.background('clients interfere', interfere(world, history))
  return history
}

async function submitLoop(world: World, history: History): Promise<void> {
  const { random, scheduler } = world
  for (let number = 1; !world.calm; number += 1) {
    const key = `order-${number}`
    const order = orderOf(world, key)
    history.submits.set(key, { hash: order.requestHash, acked: new Set() })
    const twice = random.chance(0.2)
    world.background('a client submits', submit(world, history, order))
    if (twice)
      world.background('a client submits twice', submit(world, history, { ...order, plan: randomCrew(random) }))
    if (random.chance(0.1)) world.background('a client errs', submitOther(world, history, order))
    await scheduler.wait(random.next() * 4000, 'clients think')
  }
}

function orderOf(world: World, key: string): SubmitOrder {
  return {
    tenantId: world.tenantId,
    createdBy: 'client',
    plan: randomCrew(world.random),
    crewVersion: 1,
    manifest: null,
    input: { of: key },
    priority: 0,
    labels: {},
    idempotencyKey: key,
    requestHash: `hash of ${key}`,
    requestChars: 10,
    correlationId: key,
    traceparent: null,
  }
}

/** Says it until it is answered. */
async function submit(world: World, history: History, order: SubmitOrder): Promise<void> {
  const entry = history.submits.get(order.idempotencyKey as string)
  const answer = await persist(world, 'a client submits', async ({ engine }) => engine.submit(order))
  entry?.acked.add(answer.id)
  if (entry !== undefined && entry.acked.size > 1)
    throw new Violation(`O15 ${order.idempotencyKey} was acknowledged as ${[...entry.acked].join(' and ')}`)
  if (!world.database.tables.missions.has(answer.id))
    throw new Violation(`H1 ${order.idempotencyKey} was acknowledged and is not there`)
}

/** The same key with another request is refused once the first has been taken. */
async function submitOther(world: World, history: History, order: SubmitOrder): Promise<void> {
  await world.scheduler.wait(500, 'a client errs')
  if (history.submits.get(order.idempotencyKey as string)?.acked.size !== 1) return
  try {
    await persist(world, 'a client errs', async ({ engine }) =>
      engine.submit({ ...order, requestHash: 'another hash' }),
    )
  } catch (error) {
    if ((error as { code?: unknown }).code === 'idempotency_mismatch') return
    throw error
  }
  throw new Violation(`O15 ${order.idempotencyKey} was taken for another request`)
}

async function interfere(world: World, history: History): Promise<void> {
  const { random, scheduler } = world
  while (!world.calm) {
    await scheduler.wait(random.next() * 2500, 'clients think')
    const open = [...world.database.tables.missions.values()].filter((mission) => mission.ended_at === null)
    if (open.length === 0) continue
    const { id } = random.pick(open)
    const act = random.pick(['cancel', 'signal', 'signal', 'signal', 'pause', 'resume', 'nothing'] as const)
    if (act === 'nothing') continue
    world.background(`a client asks for ${act}`, ACTS[act](world, history, id))
  }
}

const CONFLICTS = ['conflict', 'not_found', 'version_mismatch', 'not_an_approver']

/** What is not there any more, or not so, is no fault; answers whether it was done. */
export async function gently(work: () => Promise<void>): Promise<boolean> {
  try {
    await work()
    return true
  } catch (error) {
    if (!CONFLICTS.includes(String((error as { code?: unknown }).code))) throw error
    return false
  }
}

export async function cancel(world: World, missionId: string): Promise<void> {
  const order = { tenantId: world.tenantId, missionId, actor: 'client', reason: undefined }
  await persist(world, 'a client cancels', async ({ engine, db }) => engine.after(await cancelMission(db, order)))
  const mission = world.database.tables.missions.get(missionId)
  if (mission?.ended_at === null && mission.cancel_requested_at === null)
    throw new Violation(`H2 ${missionId} forgot its cancel`)
  if (mission?.cancel_requested_at !== null && !world.checker.cancelAcked.has(missionId))
    world.checker.cancelAcked.set(missionId, world.scheduler.now)
}

export async function resume(world: World, missionId: string): Promise<void> {
  const order = { tenantId: world.tenantId, missionId, actor: 'client' }
  await gently(async () =>
    persist(world, 'a client resumes', async ({ engine, db }) => engine.after(await resumeMission(db, order))),
  )
}

const ACTS = {
  cancel: async (world: World, _: History, id: string): Promise<void> => cancel(world, id),
  resume: async (world: World, _: History, id: string): Promise<void> => resume(world, id),
  async pause(world: World, history: History, id: string): Promise<void> {
    const order = { tenantId: world.tenantId, missionId: id, actor: 'client' }
    history.pausedByUs.add(id)
    await gently(async () =>
      persist(world, 'a client pauses', async ({ engine, db }) => engine.after(await pauseMission(db, order))),
    )
  },
  async signal(world: World, _: History, id: string): Promise<void> {
    const order = {
      tenantId: world.tenantId,
      missionId: id,
      actor: 'client',
      signal: { name: 'go' },
      idempotencyKey: newId(),
    }
    await gently(async () =>
      persist(world, 'a client signals', async ({ engine, db }) =>
        engine.after((await signalMission(db, order)).saved),
      ),
    )
  },
}

/** Asks until there is an answer. */
export async function persist<T>(world: World, what: string, work: Parameters<typeof call<T>>[2]): Promise<T> {
  for (;;) {
    try {
      return await call(world, what, work)
    } catch (error) {
      if (!isPassing(error)) throw error
      await world.scheduler.wait(world.random.next() * 400, `${what} again`)
    }
  }
}
