/**
 * Hands tasks to claims that wait for them, in the very statement that queues them: one commit and one way to the database less than
 * queueing a task and leasing it. Whether it holds is for that statement to say; as long as it is on its way the tasks are queued here.
 *
 * O1 Only first attempts that nothing holds back are handed over: no concurrency key, no pause, no cancel, and an input that is at hand.
 * O2 A hand gets no more than it asked for, and tasks go round the hands one by one, so that no instance takes all while another idles.
 * O3 The events of a hand-over come behind all others of its mission: without it their numbers are free again.
 */
import type { MissionFacts, TaskFacts } from './facts.ts'
import { missionOf, tasksOf } from './ledger.ts'
import type { EventDraft, Ledger } from './ledger.ts'

/** A claim that waits. */
export interface Hand {
  tenantId: string
  claimId: string
  /** The instance that claims. */
  owner: string
  incarnation: number
  skills: ReadonlySet<string>
  /** Most tasks that it takes. */
  max: number
}

export interface HandOver {
  readonly leaseMs: number
  readonly hands: ReadonlyMap<Hand, readonly TaskFacts[]>
  readonly handOf: ReadonlyMap<TaskFacts, Hand>
  readonly events: readonly EventDraft[]
  /** By mission, how many of these events it has. */
  readonly eventsOf: ReadonlyMap<string, number>
}

export const NOTHING_HANDED: HandOver = {
  leaseMs: 0,
  hands: new Map(),
  handOf: new Map(),
  events: [],
  eventsOf: new Map(),
}

/**
 * Characters of inputs and journals that one statement gives out, about; the first task is given whatever its size. An answer without a
 * bound would, with large inputs, be more than Postgres can build or this process can hold, and nobody could ever claim them.
 */
export const GIVEN_CHARS_MAX = 8 * 1024 * 1024

/** As many claims as a lease statement serves. A task looks at all of them: a thousand hands and 20,000 tasks took this process 1.2 s. */
const HANDS_MAX = 200

/** `borrow` finds a hand that has not been borrowed yet and has these skills. */
export function handOver(
  ledgers: readonly Ledger[],
  leaseMs: number,
  borrow: (tenantId: string, skills: readonly string[]) => Hand | undefined,
): HandOver {
  const hands = new Map<Hand, TaskFacts[]>()
  const handOf = new Map<TaskFacts, Hand>()
  /** Of what has been asked for: where there is nobody more to borrow, and where every hand is full. */
  const lent = new Set<string>()
  const full = new Set<string>()

  const next = (task: TaskFacts): Hand | undefined => {
    const wanted = [task.queue, ...task.requires]
    const key = `${task.tenantId} ${wanted.join(' ')}`
    if (full.has(key)) return undefined
    const fresh = lent.has(key) || hands.size === HANDS_MAX ? undefined : borrow(task.tenantId, wanted)
    if (fresh !== undefined) return fresh
    lent.add(key)
    let best: Hand | undefined
    for (const [hand, tasks] of hands) {
      const fits = hand.tenantId === task.tenantId && wanted.every((skill) => hand.skills.has(skill))
      if (!fits || tasks.length >= hand.max) continue
      if (best === undefined || tasks.length < (hands.get(best) as TaskFacts[]).length) best = hand
    }
    if (best === undefined) full.add(key)
    return best
  }

  let chars = 0
  for (const task of ledgers.flatMap(queuedIn).toSorted(byRank)) {
    const hand = next(task)
    // Mostly it is nobody who waits: then no input is measured.
    if (hand === undefined) continue
    chars += JSON.stringify(task.input).length
    if (handOf.size > 0 && chars > GIVEN_CHARS_MAX) break
    const tasks = hands.get(hand)
    if (tasks === undefined) hands.set(hand, [task])
    else tasks.push(task)
    handOf.set(task, hand)
  }
  return handOf.size === 0 ? NOTHING_HANDED : { leaseMs, hands, handOf, ...eventsFor(ledgers, handOf) }
}

/** O1 */
const queuedIn = (ledger: Ledger): TaskFacts[] =>
  tasksOf(ledger).filter(
    (task) =>
      task.state === 'queued' &&
      task.attempt === 0 &&
      task.concurrency === null &&
      !task.held &&
      task.input !== undefined &&
      begins(missionOf(ledger, task)),
  )

/** As a lease has it: what undoes the work of a mission came after its cancel. */
const begins = ({ state, canceling, compensating }: MissionFacts): boolean =>
  state !== 'paused' && (!canceling || compensating)

/** As `rank_at` of the database has it for what is queued at one moment: a step of priority is worth ten minutes, a turn ten seconds. */
const byRank = (a: TaskFacts, b: TaskFacts): number => rankOf(a) - rankOf(b)
const rankOf = ({ turn, priority }: TaskFacts): number => turn * 10 - priority * 600

/** O3 */
function eventsFor(
  ledgers: readonly Ledger[],
  handOf: ReadonlyMap<TaskFacts, Hand>,
): Pick<HandOver, 'events' | 'eventsOf'> {
  const events: EventDraft[] = []
  const eventsOf = new Map<string, number>()
  for (const ledger of ledgers) {
    for (const task of tasksOf(ledger)) {
      const hand = handOf.get(task)
      if (hand === undefined) continue
      const mission = missionOf(ledger, task)
      const tell = (event: Pick<EventDraft, 'type' | 'taskId' | 'body'>): void => {
        const count = (eventsOf.get(mission.id) ?? 0) + 1
        eventsOf.set(mission.id, count)
        events.push({ missionId: mission.id, seq: mission.eventSeq + count, ...event })
      }
      if (mission.state === 'submitted' && !eventsOf.has(mission.id))
        tell({ type: 'mission.started', taskId: null, body: {} })
      const body = { key: task.key, attempt: task.attempt + 1, agentInstanceId: hand.owner }
      tell({ type: 'task.claimed', taskId: task.id, body })
    }
  }
  return { events, eventsOf }
}
