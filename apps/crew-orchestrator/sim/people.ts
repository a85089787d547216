/** People who step in where the platform waits for them. */
import { decideApproval } from '../src/engine/approvals.ts'
import { resolveEffect } from '../src/engine/effects.ts'
import { operateTask } from '../src/engine/operate-task.ts'
import { limitQueue, pauseQueue, resumeQueue } from '../src/engine/queues.ts'
import { gently, persist } from './clients.ts'
import { PEOPLE, SKILLS } from './crews.ts'
import type { Replica } from './replica.ts'
import type { ApprovalRow } from './database/rows.ts'
import { must } from './rules.ts'
import type { World } from './world.ts'

export function startPeople(world: World): void {
  world.background('people resolve effects', resolveEffects(world))
  world.background('people control queues', controlQueues(world))
  world.background('people decide', decideApprovals(world))
  world.background('people see to what is paused', seeToPaused(world))
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

/** Lets paused tasks go on, or leaves them out; not those that wait for somebody to say whether an effect has happened. */
async function seeToPaused(world: World): Promise<void> {
  const { random, scheduler, database, tenantId } = world
  while (!world.calm) {
    await scheduler.wait(500 + random.next() * 2500, 'people look for what is paused')
    const effects = [...database.tables.effects.values()].filter((one) => one.state === 'unknown')
    const paused = [...database.tables.tasks.values()].filter(
      ({ id, state }) => state === 'paused' && !effects.some((one) => one.task_id === id),
    )
    if (paused.length === 0) continue
    const { id: taskId, key, attempt } = random.pick(paused)
    // One that has spent its attempts is left out: O14 counts them all.
    const operation = attempt === 0 ? 'retry' : 'skip'
    const order = { tenantId, actor: 'person', taskId, operation, reason: undefined } as const
    await gently(async () =>
      persist(world, `a person wants to ${operation} ${key}`, async ({ engine, db }) =>
        engine.after(await operateTask(db, order)),
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

/** Looks at what is to be approved, and decides about it a while later, as several do at once. In the end all is approved. */
async function decideApprovals(world: World): Promise<void> {
  const { random, scheduler, database } = world
  for (;;) {
    await scheduler.wait(200 + random.next() * 1500, 'people look for approvals')
    const open = [...database.tables.approvals.values()].filter((one) => one.state === 'open')
    if (open.length === 0) continue
    const approval = random.pick(open)
    const times = random.pick([1, 1, 2])
    for (let time = 0; time < times; time += 1) world.background('a person decides', decide(world, approval))
  }
}

async function decide(world: World, { id, hash }: ApprovalRow): Promise<void> {
  const { random, scheduler, tenantId, database } = world
  const subject = random.pick(PEOPLE)
  const verdict = world.calm ? 'approve' : random.pick(['approve', 'approve', 'approve', 'reject', 'edit'] as const)
  await scheduler.wait(random.next() * 1500, `${subject} thinks`)
  const order = { tenantId, id, subject, verdict, hash, comment: undefined, data: { by: subject } }
  const isTaken = await gently(async () =>
    persist(world, `${subject} decides to ${verdict}`, async ({ engine, db }) =>
      engine.after((await decideApproval(db, order)).saved),
    ),
  )
  if (!isTaken) return
  const decisions = [...database.tables.approval_decisions.values()]
  const own = decisions.filter((one) => one.approval_id === id && one.client === subject && one.verdict === verdict)
  must(own.length > 0, 'H2', `the decision of ${subject} about ${id} was taken and is not there`)
  const isAsShown = verdict === 'edit' || own.some((one) => one.hash === hash)
  must(isAsShown, 'A1', `the decision of ${subject} about ${id} counts for other data than it was about`)
}
