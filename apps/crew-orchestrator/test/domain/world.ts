import type { TaskFacts } from '../../src/domain/facts.ts'
import type { MissionFacts } from '../../src/domain/facts.ts'
import { endAttempt } from '../../src/domain/end-attempt.ts'
import type { Ending } from '../../src/domain/end-attempt.ts'
import { isCompensation, mustCompensate, planCompensations } from '../../src/domain/compensate.ts'
import { instantiate } from '../../src/domain/instantiate.ts'
import { baseOf } from '../../src/domain/keys.ts'
import { openLedger } from '../../src/domain/ledger.ts'
import type { Edge, EventDraft, Ledger } from '../../src/domain/ledger.ts'
import { cancelWaiting, closeMissions, countDown, letGo, takeNews } from '../../src/domain/propagate.ts'
import { isMissionTerminal, isTerminal } from '../../src/domain/states.ts'
import { endRound, verdictOf } from '../../src/domain/verification.ts'
import type { CrewPlan } from '../../src/manifest/compile.ts'

/** One mission in memory, driven by the decisions alone: what the engine does with Postgres, with arrays instead. */
export class World {
  readonly mission: MissionFacts
  readonly tasks: TaskFacts[]
  readonly edges: Edge[]
  readonly events: EventDraft[]
  readonly deadLetters: { key: string; code: string }[] = []
  /** By task, the states of the rounds of its verification. */
  readonly rounds = new Map<string, string[]>()

  constructor(plan: CrewPlan, input: unknown = null) {
    const { mission, ledger } = instantiate(plan, {
      tenantId: 'tenant',
      input,
      priority: 0,
      correlationId: 'c',
      traceparent: null,
    })
    this.mission = mission
    this.tasks = [...ledger.added]
    this.edges = [...ledger.edges]
    this.events = [...ledger.events]
  }

  in(...states: TaskFacts['state'][]): TaskFacts[] {
    return this.tasks.filter((task) => states.includes(task.state))
  }

  task(key: string): TaskFacts {
    const found = this.tasks.find((task) => task.key === key)
    if (found === undefined) throw new Error(`no task ${key}`)
    return found
  }

  get over(): boolean {
    return isMissionTerminal(this.mission.state)
  }

  get open(): number {
    return this.tasks.filter((task) => !isTerminal(task.state)).length
  }

  parentsOf(task: TaskFacts): TaskFacts[] {
    const ids = new Set(this.edges.filter((edge) => edge.taskId === task.id).map((edge) => edge.dependsOn))
    return this.tasks.filter((one) => ids.has(one.id))
  }

  /** What a claim does to a queued task. */
  claim(task: TaskFacts): void {
    task.state = 'executing'
    task.attempt += 1
    if (this.mission.state === 'submitted') this.mission.state = 'running'
  }

  end(task: TaskFacts, ending: Ending, random = 0.5): void {
    const round = (this.rounds.get(task.id)?.length ?? 0) + 1
    this.decide((ledger) =>
      endAttempt(ledger, task, ending.kind === 'completed' ? { ...ending, round } : ending, random),
    )
  }

  /** What a person does who has seen why it was paused. */
  resume(): void {
    this.mission.state = this.tasks.some((task) => task.attempt > 0) ? 'running' : 'submitted'
    for (const task of this.tasks) task.held = false
  }

  complete(key: string, output: unknown = null): void {
    const task = this.task(key)
    if (task.state === 'queued') this.claim(task)
    this.end(task, { kind: 'completed', output, outputHash: '', chars: JSON.stringify(output ?? null).length })
  }

  fail(key: string, code = 'boom'): void {
    const task = this.task(key)
    if (task.state === 'queued') this.claim(task)
    this.end(task, {
      kind: 'failed',
      outcome: 'failed',
      error: { code, message: code },
      failure: { code, retryable: false },
    })
  }

  cancel(): void {
    this.mission.canceling = true
    this.decide((ledger) => cancelWaiting(ledger, this.tasks))
  }

  /** Takes a decision and follows its consequences to the end. */
  decide(act: (ledger: Ledger) => void): Ledger {
    const ledger = openLedger()
    ledger.missions.set(this.mission.id, this.mission)
    act(ledger)
    this.#take(ledger)
    this.#follow(ledger)
    if (mustCompensate(this.mission)) this.#compensate(ledger)
    this.#follow(ledger)
    if (this.mission.openTasks === 0 && !this.over) closeMissions(ledger, new Map([[this.mission.id, {}]]))
    if (ledger.pausing.has(this.mission.id)) for (const task of this.in('queued')) task.held = true
    for (const { taskId, state } of ledger.rounds) this.rounds.set(taskId, [...(this.rounds.get(taskId) ?? []), state])
    for (const { taskId, round, state } of ledger.endedRounds) (this.rounds.get(taskId) as string[])[round - 1] = state
    this.events.push(...ledger.events)
    this.deadLetters.push(...ledger.deadLetters.map(({ key, error }) => ({ key, code: error.code })))
    return ledger
  }

  #follow(ledger: Ledger): void {
    while (ledger.news.length > 0) {
      const news = new Map(takeNews(ledger).map((task) => [task.id, task]))
      if (ledger.failing.delete(this.mission.id)) cancelWaiting(ledger, this.tasks)
      this.#hearReviewers(ledger, [...news.values()])
      const dependents = this.tasks
        .filter((task) => task.state === 'blocked' || task.state === 'waiting')
        .map((task) => ({
          task,
          ended: this.edges.filter((edge) => edge.taskId === task.id).flatMap((edge) => news.get(edge.dependsOn) ?? []),
        }))
        .filter(({ ended }) => ended.length > 0)
      for (const task of countDown(ledger, dependents))
        letGo(ledger, task, this.#outputsFor(task), this.#elementsOf(task))
      this.#take(ledger)
    }
  }

  #compensate(ledger: Ledger): void {
    this.events.push(...ledger.events.splice(0))
    const undoable = this.completed.filter(({ template }) => template?.forEach === undefined)
    const chain = planCompensations(ledger, this.mission, undoable)
    this.#take(ledger)
    for (const task of chain) {
      task.blockedBy = 0
      letGo(ledger, task, this.#outputsFor(task), [])
      if (!isTerminal(task.state)) break
    }
  }

  /** In the order in which they were completed. */
  get completed(): TaskFacts[] {
    return this.events
      .filter(({ type }) => type === 'task.completed')
      .flatMap(({ taskId }) => this.tasks.filter(({ id }) => id === taskId))
  }

  #outputsFor(task: TaskFacts): Record<string, { output: unknown; state: string; input?: unknown }> {
    const undone = this.tasks.find(({ id }) => isCompensation(task) && id === task.parentId)
    return undone === undefined
      ? this.#outputs()
      : { [baseOf(undone.key)]: { ...undone, output: undone.output ?? null } }
  }

  /** What was planned is there from now on. */
  #take(ledger: Ledger): void {
    this.tasks.push(...ledger.added)
    this.edges.push(...ledger.edges.splice(0))
    ledger.added.clear()
  }

  #hearReviewers(ledger: Ledger, news: readonly TaskFacts[]): void {
    for (const reviewer of news) {
      const task = this.tasks.find((one) => one.id === reviewer.parentId)
      if (reviewer.policy?.verifies === undefined || task?.state !== 'verifying') continue
      endRound(ledger, task, reviewer.policy.verifies, verdictOf(reviewer), task.output)
    }
  }

  #outputs(): Record<string, { output: unknown; state: string }> {
    return Object.fromEntries(this.tasks.map((task) => [task.key, { output: task.output ?? null, state: task.state }]))
  }

  #elementsOf(parent: TaskFacts): TaskFacts[] {
    return this.tasks.filter((task) => task.parentId === parent.id)
  }
}
