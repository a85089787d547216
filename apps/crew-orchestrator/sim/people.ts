/** People who step in where the platform waits for them. */
import { resolveEffect } from '../src/engine/effects.ts'
import { limitQueue, pauseQueue, resumeQueue } from '../src/engine/queues.ts'
import { gently, persist } from './clients.ts'
import { SKILLS } from './crews.ts'
import type { Replica } from './replica.ts'
import type { World } from './world.ts'

export function startPeople(world: World): void {
  world.background('people resolve effects', resolveEffects(world))
  world.background('people control queues', controlQueues(world))
}

/** Says whether unknown effects have happened; never while an agent may still be about to have one. */
async function resolveEffects(world: World): Promise<void> {
  const { random, scheduler, sink, database, tenantId } = world
  for (;;) {
    await scheduler.wait(500 + random.next() * 1500, 'people look for effects')
    const unknown = [...database.tables.effects.values()].filter(
      (one) => one.state === 'unknown' && !sink.isPending(one.task_id, one.name),
    )
    if (unknown.length === 0) continue
    const { task_id: taskId, name } = random.pick(unknown)
    const done = sink.count(taskId, name) > 0
    const order = { tenantId, actor: 'person', taskId, name, answer: { done, response: 'seen' } }
    await gently(async () =>
      persist(world, `a person says whether ${name} has happened`, async ({ engine, db }) =>
        engine.after((await resolveEffect(db, order)).saved),
      ),
    )
  }
}

/** Pauses and limits queues. In the end every queue goes on; a limit may stay. */
async function controlQueues(world: World): Promise<void> {
  const { random, scheduler, database, tenantId } = world
  for (;;) {
    await scheduler.wait(random.next() * 4000, 'people think of queues')
    const paused = [...database.tables.queue_controls.values()].find((one) => one.paused_at !== null)
    if (world.calm && paused === undefined) return
    const queue = world.calm && paused !== undefined ? paused.queue : random.pick(SKILLS)
    const act = world.calm ? 'resume' : random.pick(['pause', 'resume', 'resume', 'limit', 'limit', 'unlimit'] as const)
    const order = { tenantId, queue, actor: 'person' }
    await persist(world, `a person says ${act} of ${queue}`, async ({ engine, db }) =>
      engine.after(await CONTROLS[act](db, order, random.int(1, 2))),
    )
  }
}

type Control = (
  db: Replica['db'],
  order: Parameters<typeof pauseQueue>[1],
  most: number,
) => ReturnType<typeof pauseQueue>

const CONTROLS: Readonly<Record<'pause' | 'resume' | 'limit' | 'unlimit', Control>> = {
  pause: pauseQueue,
  resume: resumeQueue,
  limit: limitQueue,
  unlimit: async (db, order) => limitQueue(db, order, null),
}
