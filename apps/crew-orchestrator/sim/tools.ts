import type { ClaimedTask } from '@hypercode/contracts'
import { took } from '../src/engine/fenced.ts'
import { putEffect } from '../src/engine/put-effect.ts'
import type { EffectPut, EffectWords } from '../src/engine/put-effect.ts'
import { recordStep, reportProgress } from '../src/store/journal.ts'
import type { FenceClaim } from '../src/store/reports.ts'
import type { Tool } from './effect-sink.ts'
import type { Author } from './invariants.ts'
import type { Replica } from './replica.ts'
import { must } from './rules.ts'
import { call, isPassing } from './world.ts'
import type { World } from './world.ts'

/** An attempt in the hands of a process. */
export interface Hand {
  task: ClaimedTask
  author: Author
  fence: FenceClaim
  /** The process was killed. */
  isOver: () => boolean
  /** Resolves when it is not frozen. */
  thawed: () => Promise<void>
}

/** Uses every tool of the task as a handler does, and what attempts before left of them. False when the attempt came to its end meanwhile. */
export async function useTools(world: World, hand: Hand): Promise<boolean> {
  const { random, scheduler, settings } = world
  for (const tool of world.sink.toolsOf(hand.task.taskId, hand.task.key)) {
    const isDone = await (tool.kind === 'step' ? doStep : haveEffect)(world, hand, tool)
    if (!isDone || hand.isOver()) return false
    // Sometimes longer than a lease or a time-out lasts.
    const longMs = random.chance(0.15) ? settings.leaseMs * 2 : 50
    await scheduler.wait(random.next() * longMs, `${hand.fence.subject} goes on`)
    await hand.thawed()
  }
  if (!random.chance(0.1)) return true
  const told = await write(world, hand, 'tells of its progress', async ({ engine }, fence) =>
    took(engine, await reportProgress(engine.urgentDb, fence, { ...fence, fraction: 0.5 })),
  )
  return told !== undefined
}

async function doStep(world: World, hand: Hand, { name }: Tool): Promise<boolean> {
  const { taskId, attempt } = hand.fence
  const id = `${taskId}/${name}`
  const known = world.journal.get(id)
  const before = hand.task.steps.find((step) => step.name === name)
  // J1: what was recorded is known to every further attempt, and stays what it was.
  if (known !== undefined && attempt > known.attempt)
    must(before?.response === known.response, 'J1', `attempt ${attempt} was not told of the step ${id}`)
  if (before !== undefined) return true
  const response = `${id} by attempt ${attempt}`
  const stored = await write(world, hand, `records ${name}`, async ({ engine }, fence) => {
    const recorded = await recordStep(engine.urgentDb, fence, { name, response })
    if (recorded.kind === 'full') throw new Error('a journal is full')
    return took(engine, recorded).step
  })
  if (stored === undefined) return false
  must(known === undefined || stored.response === known.response, 'J1', `the step ${id} was recorded anew`)
  world.journal.set(id, known ?? { attempt, response: stored.response })
  return true
}

async function haveEffect(world: World, hand: Hand, tool: Tool): Promise<boolean> {
  const { random, scheduler, sink } = world
  const { taskId, subject } = hand.fence
  const { name, idempotent } = tool
  const words = { idempotent, requestHash: `hash of ${name}` }
  sink.begins(taskId, name)
  try {
    const intent = await put(world, hand, name, { ...words, state: 'intent' })
    if (intent === undefined) return false
    if (intent.effect.state === 'done') return true
    await scheduler.wait(random.next() * 100, `${subject} begins ${name}`)
    await hand.thawed()
    if (hand.isOver()) return false
    scheduler.note(`${subject} has the effect ${intent.effect.key}`)
    sink.happen(taskId, tool, intent.effect.key)
  } finally {
    sink.ends(taskId, name)
  }
  await scheduler.wait(random.next() * 100, `${subject} has had ${name}`)
  await hand.thawed()
  const done = await put(world, hand, name, { ...words, state: 'done', response: name })
  return done !== undefined
}

const put = async (world: World, hand: Hand, name: string, words: EffectWords): Promise<EffectPut | undefined> =>
  write(world, hand, `puts ${words.state} of ${name}`, async ({ engine }, fence) =>
    putEffect(engine, fence, name, words),
  )

/** After these an attempt is at its end. */
const ENDS: ReadonlySet<unknown> = new Set(['stale_attempt', 'effect_unknown'])

/** Says it until it is answered; undefined when the attempt is over. */
async function write<T>(
  world: World,
  hand: Hand,
  what: string,
  work: (replica: Replica, fence: FenceClaim) => Promise<T>,
): Promise<T | undefined> {
  const { random, scheduler } = world
  const { author, fence } = hand
  while (!hand.isOver()) {
    const sentAt = scheduler.now
    try {
      const answer = await call(world, `${fence.subject} ${what}`, async (replica) => work(replica, fence))
      world.checker.checkWrite(author, sentAt, what)
      return answer
    } catch (error) {
      if (ENDS.has((error as { code?: unknown }).code)) return undefined
      if (!isPassing(error)) throw error
      await scheduler.wait(random.next() * 300, `${fence.subject} ${what} again`)
      await hand.thawed()
    }
  }
  return undefined
}
