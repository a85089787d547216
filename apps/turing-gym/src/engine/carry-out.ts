import { setTimeout as sleep } from 'node:timers/promises'
import type { GymSample } from '@hypercode/contracts'
import { PoolFault, fillPool } from '../platform/pool.ts'
import type { ScoreTools } from '../scoring/index.ts'
import { judgeRun } from '../statistics/index.ts'
import type { JudgedSample, RunJudgement } from '../statistics/index.ts'
import { tellProgress } from '../store/run-moves.ts'
import type { RunEnd } from '../store/run-moves.ts'
import type { RunRecord } from '../store/runs.ts'
import { putBack, readPlan, saveErrored, saveResult } from '../store/samples.ts'
import type { SampleRecord, SampleResult } from '../store/samples.ts'
import { sharedPool } from './arena.ts'
import { RunLost } from './run-context.ts'
import type { RunContext } from './run-context.ts'
import { takeSample } from './sample.ts'
import { scoreTools } from './score-tools.ts'

/** So many takeovers without a sample in between, and nobody tries any more. */
const STRIKES_MAX = 20
/** So many samples that cannot be judged, and the rest would not be either. */
const ERRORED_MAX = 10
const PROGRESS_EVERY_MS = 1000
const PAUSE_MS = 300

/** A sample with what is known of it now; the state is kept up as samples end. */
type Tracked = { -readonly [K in keyof SampleRecord]: SampleRecord[K] }

/**
 * Takes every sample of a run that has no result yet, several at a time, until the rule has decided or the plan is done.
 *
 * @throws {RunLost} when the run is canceled or carried on by another process
 */
export async function carryOut(ctx: RunContext, signal: AbortSignal): Promise<RunEnd> {
  if (ctx.run.strikes > STRIKES_MAX)
    return failed(`the run was taken up ${ctx.run.strikes} times without getting any further`)
  const samples: Tracked[] = await readPlan(ctx.db, ctx.run.id)
  const course = new Course(ctx, samples, signal)
  try {
    return await course.run()
  } catch (error) {
    if (error instanceof PoolFault) return failed(error.message)
    throw error
  }
}

const failed = (error: string): RunEnd => ({ state: 'failed', error: error.slice(0, 4000), reasons: [] })

class Course {
  readonly #ctx: RunContext
  readonly #samples: readonly Tracked[]
  readonly #queue: Tracked[]
  readonly #tools: ScoreTools
  /** Aborted when the rule has decided, when too much goes wrong, and with the run itself. */
  readonly #stopping = new AbortController()
  readonly #signal: AbortSignal
  #errored = 0
  #lastError = ''
  #toldAt = 0

  constructor(ctx: RunContext, samples: readonly Tracked[], signal: AbortSignal) {
    this.#ctx = ctx
    this.#samples = samples
    this.#queue = samples.filter(({ state }) => state === 'planned' || state === 'running')
    this.#errored = samples.filter(({ state }) => state === 'errored').length
    this.#signal = AbortSignal.any([signal, this.#stopping.signal])
    this.#tools = scoreTools(ctx.deps, ctx.suite, this.#signal)
  }

  async run(): Promise<RunEnd> {
    if (!this.#isDecided()) {
      if (this.#queue.some((sample) => !this.#hasFaults(sample))) await this.#fill()
      const workers = await Promise.allSettled(Array.from({ length: this.#width() }, async () => await this.#work()))
      const broken = workers.find((worker) => worker.status === 'rejected')
      if (broken?.status === 'rejected') throw broken.reason
    }
    return this.#end()
  }

  /** No more at a time than the instances can execute: a sample that waits for a slot would look slow. */
  #width(): number {
    const { suite, blueprint, run } = this.#ctx
    const slots = (suite.spec.instances ?? 1) * blueprint.manifest.spec.slots
    return Math.max(1, Math.min(run.parallel, slots, this.#queue.length))
  }

  #hasFaults({ scenario }: SampleRecord): boolean {
    const found = this.#ctx.suite.spec.scenarios.find(({ id }) => id === scenario)
    return (found?.faults ?? []).length > 0
  }

  async #fill(): Promise<void> {
    const { deps, client, run, suite, blueprint } = this.#ctx
    const order = { pool: sharedPool(run.id), blueprint, count: suite.spec.instances ?? 1 }
    await fillPool(client, order, { readyMs: deps.settings.readyMs, signal: this.#signal })
  }

  async #work(): Promise<void> {
    for (let sample = this.#queue.shift(); sample !== undefined; sample = this.#queue.shift()) {
      if (this.#stopping.signal.aborted) return
      try {
        await this.#take(sample)
      } catch (error) {
        // What was cut short because enough is known has come to a good end; anything else concerns all.
        if (this.#stopping.signal.aborted && !(error instanceof RunLost)) return
        this.#stopping.abort(error)
        throw error
      }
    }
  }

  async #take(sample: Tracked): Promise<void> {
    const { deps, db, owner } = this.#ctx
    const result = await this.#resultOf(sample)
    if (result === undefined) return
    const run = await saveResult(db, owner, sample.id, result)
    deps.metrics.sampleSeconds.observe({}, result.latencyMs / 1000)
    const { state, latencyMs, tokens, usd } = result
    await this.#finished(Object.assign(sample, { state, latencyMs, tokens, usd }), run)
  }

  /** Undefined when the platform has spoilt the try. */
  async #resultOf(sample: Tracked): Promise<SampleResult | undefined> {
    try {
      return await takeSample(this.#ctx, sample, this.#tools, this.#signal)
    } catch (error) {
      if (error instanceof RunLost) throw error
      this.#signal.throwIfAborted()
      await this.#spoilt(sample, error)
      return undefined
    }
  }

  /** The platform has spoilt a try: there is another one, up to a bound. */
  async #spoilt(sample: Tracked, error: unknown): Promise<void> {
    const { deps, db, owner, run } = this.#ctx
    const words = (error instanceof Error ? error.message : String(error)).slice(0, 4000)
    deps.log.warn({ err: error, runId: run.id, sampleId: sample.id, scenario: sample.scenario }, 'a sample was spoilt')
    deps.metrics.sampleFaults.inc({})
    this.#lastError = words
    sample.faultsSeen += 1
    if (sample.faultsSeen >= deps.settings.sampleTries) {
      this.#errored += 1
      const counted = await saveErrored(db, owner, sample.id, words)
      await this.#finished(Object.assign(sample, { state: 'errored' as const }), counted)
      return
    }
    if (!(await putBack(db, owner, sample.id, words))) throw new RunLost()
    const again = (await readPlan(db, run.id)).find(({ id }) => id === sample.id)
    await sleep(PAUSE_MS * sample.faultsSeen, undefined, { signal: this.#signal })
    // An instance that is quarantined, or gone, would spoil all that are to come.
    if (!this.#hasFaults(sample)) await this.#fill()
    this.#queue.push(Object.assign(sample, again))
  }

  async #finished(sample: Tracked, run: RunRecord | undefined): Promise<void> {
    if (run === undefined) throw new RunLost()
    this.#ctx.deps.metrics.samples.inc({ state: sample.state as 'passed' | 'failed' | 'errored' })
    if (this.#isDecided() || this.#errored >= ERRORED_MAX) this.#stopping.abort(new Error('enough is known'))
    if (performance.now() - this.#toldAt < PROGRESS_EVERY_MS) return
    this.#toldAt = performance.now()
    try {
      await tellProgress(this.#ctx.deps, run)
    } catch (err) {
      this.#ctx.deps.log.warn({ err, runId: run.id }, 'progress not told')
    }
  }

  /** Only a sequential test ends a run early. With thresholds people want to see all samples, also of a version that has failed already. */
  #isDecided(): boolean {
    return this.#ctx.run.rule.kind === 'sequential' && this.#judgement().verdict !== undefined
  }

  #judgement(): RunJudgement {
    return judgeRun(this.#ctx.run.rule, this.#samples.map(judged))
  }

  /** A run that the platform has left without enough to judge is no verdict about the agent, not even that it is inconclusive. */
  #end(): RunEnd {
    const { verdict = 'inconclusive', reasons } = this.#judgement()
    if (verdict === 'inconclusive' && this.#errored > 0) {
      const error = `${this.#errored} samples could not be judged: ${this.#lastError}`
      return { state: 'failed', error, reasons }
    }
    return { state: 'completed', verdict, reasons }
  }
}

const judged = ({ scenario, repetition, state, latencyMs, tokens, usd }: SampleRecord): JudgedSample => ({
  scenario,
  repetition,
  state: state satisfies GymSample['state'],
  ...(latencyMs !== null && { latencyMs }),
  ...(tokens !== null && { tokens }),
  ...(usd !== null && { usd }),
})
