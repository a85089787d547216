import { newId } from '@hypercode/contracts'
import type { ClaimedTask, CompletionReport, Wait } from '@hypercode/contracts'
import { reportOf } from '../src/engine/complete.ts'
import { SKILLS, randomTerms } from './crews.ts'
import type { Random } from './random.ts'
import { beat, drain, register } from './registry.ts'
import { useTools } from './tools.ts'
import { call, isPassing } from './world.ts'
import type { World } from './world.ts'

/** An instance as its owner knows it; its processes come and go. */
interface Instance {
  id: string
  subject: string
  skills: readonly string[]
  slots: number
}

/** One life of an instance. It may freeze, be killed, or live on when the next one has begun. */
interface Life {
  instance: Instance
  incarnation: number
  isOver: boolean
  frozenUntil: number
  running: Map<string, ClaimedTask>
  /** Called when a slot is free again. */
  onFree: (() => void)[]
  canceled: Set<string>
  /** One of its claims waits. */
  claims: boolean
}

export interface Agents {
  /** Every process of every agent, and whether it waits for work that it would get. */
  all(): { name: string; skills: readonly string[]; isIdle: boolean }[]
}

export function startAgents(world: World, count: number): Agents {
  const { random } = world
  const lives: Life[] = []
  for (let index = 0; index < count; index += 1) {
    const others = SKILLS.filter(() => random.chance(0.6))
    const skills = index === 0 ? [...SKILLS] : others.length === 0 ? [random.pick(SKILLS)] : others
    const instance = { id: newId(), subject: `agent-${index}`, skills, slots: random.int(1, 3) }
    world.background(instance.subject, live(world, instance, lives))
  }
  return {
    all: () =>
      lives.map((life) => ({
        name: `${life.instance.subject}.${life.incarnation}`,
        skills: life.instance.skills,
        isIdle: isIdle(world, life),
      })),
  }
}

function isIdle({ database: { tables }, scheduler: { now } }: World, life: Life): boolean {
  const { instance, incarnation } = life
  const row = tables.agent_instances.get(instance.id)
  if (life.isOver || !life.claims || life.frozenUntil > now || row?.incarnation !== incarnation) return false
  const held = [...tables.tasks.values()].filter((task) => task.lease_owner === instance.id).length
  return row.lifecycle === 'ready' && (row.lease_expires_at ?? 0) > now && held < instance.slots
}

/** One life after the other, each with its end. */
async function live(world: World, instance: Instance, lives: Life[]): Promise<void> {
  const { random, scheduler } = world
  for (;;) {
    const incarnation = await register(world, instance)
    const life: Life = {
      instance,
      incarnation,
      isOver: false,
      frozenUntil: 0,
      running: new Map(),
      onFree: [],
      canceled: new Set(),
      claims: false,
    }
    lives.push(life)
    // Some keep two claims open.
    for (let claims = random.chance(0.3) ? 2 : 1; claims > 0; claims -= 1)
      world.background(`${instance.subject} claims`, claimLoop(world, life))
    const fenced = beatLoop(world, life)
    const end = await Promise.race([fenced.then(() => 'fenced' as const), fate(world, life)])
    // What was killed is silent; what was only replaced goes on as a zombie until it is told.
    if (end !== 'replaced') life.isOver = true
    await scheduler.wait(
      end === 'killed' ? random.next() * 2 * world.settings.leaseMs : 5,
      `${instance.subject} starts again`,
    )
  }
}

async function fate(world: World, life: Life): Promise<'killed' | 'replaced'> {
  const { random, scheduler, settings } = world
  for (;;) {
    const meanMs = Math.min(world.weather.agentFaultMs, 1e6)
    await scheduler.wait(meanMs * (0.5 + random.next()), `fate of ${life.instance.subject}`)
    if (world.calm) await new Promise(() => undefined)
    const what = random.pick(['killed', 'replaced', 'drained', 'frozen', 'frozen', 'frozen'] as const)
    if (what === 'drained') {
      // Its claims wait on, and what it has begun it ends.
      await drain(world, life.instance.id, life.incarnation)
      await scheduler.wait(random.next() * settings.leaseMs, `${life.instance.subject} drains`)
      return 'replaced'
    }
    if (what !== 'frozen') return what
    life.frozenUntil = scheduler.now + random.next() * 3 * settings.leaseMs
  }
}

const thawed = async (world: World, life: Life): Promise<void> => {
  while (world.scheduler.now < life.frozenUntil)
    await world.scheduler.wait(life.frozenUntil - world.scheduler.now, `${life.instance.subject} thaws`)
}

/** Resolves when the registry says that the life is over. */
async function beatLoop(world: World, life: Life): Promise<void> {
  const { random, scheduler, settings } = world
  const { instance, incarnation } = life
  for (let seq = 1; ; seq += 1) {
    await scheduler.wait((settings.leaseMs / 3) * (0.9 + random.next() / 5), `${instance.subject} beats`)
    await thawed(world, life)
    if (life.isOver) return
    if (random.chance(world.weather.requestLost)) continue
    const { isFenced, canceled } = await beat(
      world,
      { id: instance.id, incarnation, seq },
      new Set(life.running.keys()),
    )
    if (isFenced) return
    for (const one of canceled) life.canceled.add(one)
  }
}

async function claimLoop(world: World, life: Life): Promise<void> {
  const { random, scheduler } = world
  const { instance, incarnation } = life
  let claimId = newId()
  while (!life.isOver) {
    await thawed(world, life)
    const max = instance.slots - life.running.size
    if (max <= 0) {
      life.claims = false
      await new Promise<void>((resolve) => life.onFree.push(resolve))
      continue
    }
    life.claims = true
    try {
      const waitMs = world.calm ? 60_000 : random.pick([0, 500, 5000, 20_000])
      const order = {
        claimId,
        tenantId: world.tenantId,
        subject: instance.subject,
        instanceId: instance.id,
        incarnation,
        max,
        skills: instance.skills,
        waitMs,
      }
      const ask = async (): Promise<ClaimedTask[]> => {
        const tasks = await call(world, `${instance.subject} claims`, async ({ engine }) =>
          engine.desk.claim({ ...order, signal: new AbortController().signal }),
        )
        for (const task of tasks) world.checker.checkGiven(task, { instanceId: instance.id, incarnation })
        return tasks
      }
      if (random.chance(0.3)) world.background(`${instance.subject} claims twice`, askAgain(world, life, ask))
      const tasks = await ask()
      // An answer that comes to a dead process is nobody's.
      if (life.isOver) return
      await thawed(world, life)
      for (const task of tasks) take(world, life, task)
      claimId = newId()
      if (waitMs === 0) await scheduler.wait(random.next() * 500, `${instance.subject} pauses`)
    } catch (error) {
      life.claims = false
      if ((error as { code?: unknown }).code === 'fenced') return
      if (!isPassing(error)) throw error
      // Whether something was given is not known: mostly the same claim again.
      if (random.chance(0.2)) claimId = newId()
      await scheduler.wait(random.next() * 200, `${instance.subject} tries again`)
    }
  }
}

/** The same claim somewhere else, by somebody who does not wait for the answer of the first one. */
async function askAgain(world: World, life: Life, ask: () => Promise<ClaimedTask[]>): Promise<void> {
  try {
    await world.scheduler.wait(world.random.next() * 50, `${life.instance.subject} is impatient`)
    const tasks = await ask()
    await thawed(world, life)
    if (!life.isOver) for (const task of tasks) take(world, life, task)
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'fenced' && !isPassing(error)) throw error
  }
}

function take(world: World, life: Life, task: ClaimedTask): void {
  const key = `${task.taskId}/${task.attempt}`
  if (life.running.has(key)) return
  life.running.set(key, task)
  world.background(`${life.instance.subject} works`, work(world, life, task, key))
}

async function work(world: World, life: Life, task: ClaimedTask, key: string): Promise<void> {
  const { random, scheduler, settings } = world
  const longMs = random.chance(0.1) ? settings.leaseMs * 2 : 300
  await scheduler.wait(random.next() * longMs, `${life.instance.subject} works`)
  await thawed(world, life)
  const { instance, incarnation } = life
  const { taskId, attempt } = task
  const isWhole = await useTools(world, {
    task,
    author: { taskId, attempt, instanceId: instance.id, incarnation },
    fence: { tenantId: world.tenantId, subject: instance.subject, incarnation, taskId, attempt },
    isOver: () => life.isOver,
    thawed: async () => thawed(world, life),
  })
  if (isWhole) await report(world, life, task, key)
  life.running.delete(key)
  for (const free of life.onFree.splice(0)) free()
}

async function report(world: World, life: Life, task: ClaimedTask, key: string): Promise<void> {
  const { random } = world
  const said = life.canceled.has(key) ? base(task, 'canceled') : randomReport(world, life, task)
  const times = random.chance(0.1) ? 2 : 1
  for (let time = 0; time < times && !life.isOver; time += 1) await send(world, life, said)
}

/** Says it until somebody answers. */
async function send(world: World, life: Life, report: CompletionReport): Promise<void> {
  const { random, scheduler, tenantId } = world
  const { subject } = life.instance
  const fence = { tenantId, subject, incarnation: life.incarnation, taskId: report.taskId, attempt: report.attempt }
  while (!life.isOver) {
    try {
      const { status } = await call(world, `${subject} reports ${report.outcome}`, async ({ engine }) =>
        engine.reports.submit(reportOf(fence, report)),
      )
      scheduler.note(`${subject} is told ${status}`)
      return
    } catch (error) {
      if (!isPassing(error)) throw error
      await scheduler.wait(random.next() * 300, `${subject} repeats`)
      await thawed(world, life)
    }
  }
}

const base = (task: ClaimedTask, outcome: CompletionReport['outcome']): CompletionReport =>
  ({ taskId: task.taskId, attempt: task.attempt, outcome }) as CompletionReport

function randomWait(random: Random, name: string): Wait {
  const delayMs = random.int(50, 3000)
  const kind = random.pick(['timer', 'signal', 'approval'] as const)
  if (kind === 'timer') return { kind, name, delayMs }
  if (kind === 'signal') return { kind, name, signal: 'go', timeoutMs: delayMs }
  const { approvers, deadlineMs, ...terms } = randomTerms(random)
  const escalate = { afterMs: 800, approvers: ['cyd'] }
  return {
    ...{ kind, name, ...terms, approvers: [...approvers] },
    ...(deadlineMs === null ? {} : { deadlineMs, escalate }),
  }
}

/** What the agent makes of its task. Each report has a mark by which its author is known again. */
function randomReport(world: World, life: Life, task: ClaimedTask): CompletionReport {
  const { random } = world
  const { taskId, attempt } = task
  const { instance, incarnation } = life
  const mark = `${taskId}/${attempt} by ${instance.subject}.${incarnation}`
  const author = { taskId, attempt, instanceId: instance.id, incarnation }
  const die = world.calm ? 0 : random.next()
  const fails = (code: string, retryable: boolean): CompletionReport => {
    world.checker.authors.set(mark, author)
    return { ...base(task, 'failed'), error: { code, message: mark, retryable } }
  }
  if (die > 0.88) return fails('boom', true)
  if (die > 0.86) return fails('hopeless', true)
  if (die > 0.84) return { ...base(task, 'rejected'), error: { code: 'no', message: mark, retryable: false } }
  if (die > 0.79) return base(task, 'released')
  if (die > 0.75) {
    return { ...base(task, 'waiting'), wait: randomWait(random, `w${attempt}`) }
  }
  const isGood = world.calm || random.chance(0.7)
  const output = task.key.includes(':verify:') ? { passed: isGood, reason: mark } : isGood ? [mark] : [mark, 'more']
  const report = { ...base(task, 'completed'), output }
  const fence = { tenantId: world.tenantId, subject: instance.subject, incarnation, taskId, attempt }
  world.checker.authors.set(reportOf(fence, report).outputHash, author)
  return report
}
