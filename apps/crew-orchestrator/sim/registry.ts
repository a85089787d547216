/** What the agent registry does to instances and leases: the statements of its registrations, beats and reaping, against the model. */
import { isRetryable } from '@hypercode/db'
import type { Session } from './database/database.ts'
import type { InstanceRow, MissionRow, TaskRow } from './database/rows.ts'
import type { World } from './world.ts'

export interface Beaten {
  isFenced: boolean
  /** Attempts (`task/attempt`) whose mission is to be canceled. */
  canceled: string[]
  /** Attempts that the instance holds. */
  held: Set<string>
}

/**
 * A process of an instance begins: what it was before is fenced. A task in the hands of somebody who has gone silent is not free for some
 * seconds: the registry, and then the agent, try again for as long.
 */
export async function register(world: World, instance: Registration): Promise<number> {
  for (;;) {
    const session = world.database.begin('registry')
    try {
      return await registerIn(session, world, instance)
    } catch (error) {
      session.rollback()
      if (!isRetryable(error)) throw error
    }
  }
}

type Registration = Pick<InstanceRow, 'id' | 'subject' | 'skills' | 'slots'>

async function registerIn(session: Session, world: World, instance: Registration): Promise<number> {
  await session.lock('agent_instances', instance.id)
  const incarnation = (session.get('agent_instances', instance.id)?.incarnation ?? 0) + 1
  session.put('agent_instances', {
    ...instance,
    tenant_id: world.tenantId,
    lifecycle: 'ready',
    incarnation,
    heartbeat_seq: 0,
    lease_expires_at: session.now + world.settings.leaseMs,
  })
  await endTaskLeases(session, instance.id, incarnation)
  session.commit()
  return incarnation
}

/** The process takes no more work. */
export async function drain({ database }: World, id: string, incarnation: number): Promise<void> {
  const session = database.begin('registry')
  await session.lock('agent_instances', id)
  const instance = session.get('agent_instances', id) as InstanceRow
  if (instance.incarnation === incarnation && instance.lifecycle === 'ready')
    session.put('agent_instances', { ...instance, lifecycle: 'draining' })
  session.commit()
}

const isAlive = ({ lifecycle }: InstanceRow): boolean => lifecycle === 'ready' || lifecycle === 'draining'

/** What former incarnations hold is over. */
async function endTaskLeases(session: Session, id: string, belowIncarnation: number): Promise<void> {
  const isHeld = (task: TaskRow | undefined): task is TaskRow =>
    task?.lease_owner === id &&
    (task.lease_incarnation ?? 0) < belowIncarnation &&
    task.state === 'executing' &&
    (task.lease_expires_at ?? 0) > session.now
  const held = session.rows('tasks').filter(isHeld)
  for (const one of held.toSorted((a, b) => (a.id < b.id ? -1 : 1))) {
    await session.lock('tasks', one.id)
    const task = session.get('tasks', one.id)
    if (isHeld(task)) session.put('tasks', { ...task, lease_expires_at: session.now })
  }
}

/** `renewAll` of the registry's beats, for one instance. `reported` are the attempts that the process knows of. */
export async function beat(
  world: World,
  { id, incarnation, seq }: { id: string; incarnation: number; seq: number },
  reported: ReadonlySet<string>,
): Promise<Beaten> {
  const session = world.database.begin('registry')
  const { leaseMs } = world.settings
  await session.lock('agent_instances', id)
  const instance = session.get('agent_instances', id) as InstanceRow
  const renews = instance.incarnation === incarnation && seq > instance.heartbeat_seq && isAlive(instance)
  const mine = session
    .rows('tasks')
    .filter(
      (task) =>
        task.lease_owner === id && task.lease_incarnation === instance.incarnation && task.state === 'executing',
    )
  const until = session.now + leaseMs
  if (renews) {
    const lease_expires_at = Math.max(instance.lease_expires_at ?? 0, until)
    session.put('agent_instances', { ...instance, heartbeat_seq: seq, lease_expires_at })
    for (const task of mine) {
      const attempt = session.get('attempts', `${task.id}/${task.attempt}`)
      const isFresh = (attempt?.started_at ?? 0) > session.now - leaseMs
      if (!reported.has(`${task.id}/${task.attempt}`) && !isFresh) continue
      if (session.tryLock('tasks', task.id))
        session.put('tasks', { ...task, lease_expires_at: Math.max(task.lease_expires_at ?? 0, until) })
    }
  }
  session.commit()
  const canceled = mine.filter(({ mission_id }) => isBeingCanceled(world.database.tables.missions.get(mission_id)))
  return {
    isFenced: instance.incarnation !== incarnation || !isAlive(instance),
    canceled: canceled.map((task) => `${task.id}/${task.attempt}`),
    held: new Set(mine.map((task) => `${task.id}/${task.attempt}`)),
  }
}

const isBeingCanceled = (mission: MissionRow | undefined): boolean =>
  mission !== undefined && mission.cancel_requested_at !== null && mission.compensating_at === null

/** Instances that have been silent for too long are given up. */
export async function reap(world: World): Promise<void> {
  for (;;) {
    await world.scheduler.wait(1500, 'the registry sweeps')
    const session = world.database.begin('registry')
    for (const instance of session.rows('agent_instances')) {
      const isGone = isAlive(instance) && (instance.lease_expires_at ?? 0) + 2000 <= session.now
      if (isGone && session.tryLock('agent_instances', instance.id))
        session.put('agent_instances', { ...instance, lifecycle: 'reaped' })
    }
    session.commit()
  }
}
