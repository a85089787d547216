/** People who step in where the platform waits for them. */
import { resolveEffect } from '../src/engine/effects.ts'
import { gently, persist } from './clients.ts'
import type { World } from './world.ts'

export function startPeople(world: World): void {
  world.background('people resolve effects', resolveEffects(world))
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
