import type { ClaimedTask } from '@hypercode/contracts'
import type { QueueRef } from '@hypercode/events'
import type { CrewPlan } from '../../src/manifest/compile.ts'
import { createHandedTasks } from '../../src/engine/handed-tasks.ts'
import type { HandedTasks } from '../../src/engine/handed-tasks.ts'
import type { FenceClaim } from '../../src/store/reports.ts'
import { SKILLS } from '../../sim/crews.ts'
import type { Waiting } from './hands.ts'
import type { Agent, Side } from './sides.ts'

/** A side with what it has given out; the same index is the same thing on all sides. */
export interface Course {
  side: Side
  agents: Agent[]
  missions: string[]
  /** Everything that was ever claimed. */
  claimed: { task: ClaimedTask; claimId: string; agent: number; incarnation: number }[]
  /** Ids, and what they stand for. */
  names: Map<string, string>
  /** What a process remembers. */
  handed: HandedTasks
}

/** A course of two agents. */
export async function openCourse(side: Side): Promise<Course> {
  const course: Course = { side, agents: [], missions: [], claimed: [], names: new Map(), handed: createHandedTasks() }
  for (const [index, skills] of [[...SKILLS], ['code', 'test']].entries()) {
    const agent = await side.run(async () => side.register(`agent-${index}`, skills, 3))
    course.agents.push(agent)
    course.names.set(agent.id, `agent-${index}`)
  }
  return course
}

export type Act = (course: Course, dice: Dice) => Promise<unknown>
export interface Dice {
  crew: CrewPlan
  key: string
  /** Claims that wait meanwhile. */
  waiting: readonly Waiting[]
  hash: string
  /** For whatever is picked from a list. */
  at: number
  other: number
  kind: number
}

export const pick = <T>(list: readonly T[], at: number): T | undefined => list[Math.floor(at * list.length)]

/** A claim from a list, mostly one of the last, and the fence of who has it. */
export function pickClaimed(
  { side, agents, claimed }: Course,
  { at, other, kind }: Dice,
  isMeant: (task: ClaimedTask) => boolean = () => true,
): Claimed | undefined {
  const meant = claimed.filter(({ task }) => isMeant(task))
  const from = other < 0.7 ? Math.max(0, meant.length - 4) : 0
  const one = pick(meant.slice(from), at)
  if (one === undefined) return undefined
  const agent = agents[kind > 0.95 ? 1 - one.agent : one.agent] as Agent
  const { taskId, attempt } = one.task
  const fence = { tenantId: side.tenantId, subject: agent.subject, incarnation: one.incarnation, taskId, attempt }
  return { task: one.task, fence }
}

export interface Claimed {
  task: ClaimedTask
  fence: FenceClaim
}

/** Queues in an order of their own: Postgres says in none which of them have room again. */
export const sorted = (queues: readonly QueueRef[]): QueueRef[] =>
  queues.toSorted((a, b) => (a.queue < b.queue ? -1 : 1))

/** An error is an answer too. */
export async function settled(work: Promise<unknown>): Promise<unknown> {
  try {
    return await work
  } catch (error) {
    const { code } = error as { code?: unknown }
    if (typeof code !== 'string') throw error
    return { refused: code }
  }
}
