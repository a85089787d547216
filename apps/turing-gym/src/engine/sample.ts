import type { Scenario, Score, Task } from '@hypercode/contracts'
import { platformFaultOf } from '../domain/blame.ts'
import { fillWorkspace, killsOf, limitsOf, poolOfSample, sampleMission } from '../domain/sample-mission.ts'
import type { SampleLimits } from '../domain/sample-mission.ts'
import { gatherEvidence } from '../platform/evidence.ts'
import { injectKills } from '../platform/kills.ts'
import { awaitMission, cancel, overspent, submit, taskOf } from '../platform/mission.ts'
import type { MissionBounds, MissionEnd } from '../platform/mission.ts'
import { endPools, livePool } from '../platform/pool.ts'
import { scoreSample } from '../scoring/index.ts'
import type { Evidence, SampleScore, ScoreTools } from '../scoring/index.ts'
import { beginTry, noteMission } from '../store/samples.ts'
import type { SampleRecord, SampleResult } from '../store/samples.ts'
import { isThere, layOut, sampleFolder } from '../workspace/sample-folder.ts'
import type { SampleFolder } from '../workspace/sample-folder.ts'
import { WorkspaceFault, applyPatch, copyWorkspace } from '../workspace/scored-copy.ts'
import { openArena } from './arena.ts'
import type { Arena } from './arena.ts'
import { RunLost } from './run-context.ts'
import type { RunContext } from './run-context.ts'

/** One try of a sample. */
interface Try {
  readonly ctx: RunContext
  readonly sample: SampleRecord
  readonly scenario: Scenario
  readonly number: number
  readonly limits: SampleLimits
  readonly folder: SampleFolder
  readonly bounds: MissionBounds
}

/**
 * Takes one sample from its submit to its score, or goes on with the try that another process had begun. What is thrown is the platform's
 * fault, or the gym's, and never says anything about the agent.
 *
 * @throws {RunLost} when the run is no longer ours
 */
export async function takeSample(
  ctx: RunContext,
  sample: SampleRecord,
  tools: ScoreTools,
  signal: AbortSignal,
): Promise<SampleResult> {
  const scenario = ctx.suite.spec.scenarios.find(({ id }) => id === sample.scenario)
  if (scenario === undefined) throw new Error(`the suite has no scenario ${sample.scenario}`)
  const one = await begin(ctx, sample, scenario, { awayMs: ctx.deps.settings.readyMs, signal })
  const arena = await openArena(ctx, scenario, poolOfSample(ctx.run.id, sample.id, one.number), signal)
  try {
    const { end, faultsInjected } = await run(one, arena)
    const result = await judge(one, arena, end, faultsInjected, tools)
    await one.folder.remove()
    return result
  } finally {
    await arena.close()
  }
}

/** A try in which faults are injected dies with the process that injects them; any other is carried on. */
async function begin(ctx: RunContext, sample: SampleRecord, scenario: Scenario, bounds: MissionBounds): Promise<Try> {
  const { deps, db, owner, run, client } = ctx
  const { folder: base, sampleTimeMs, readyMs } = deps.settings
  const hasFaults = (scenario.faults ?? []).length > 0
  const goesOn = sample.state === 'running' && !hasFaults
  if (!goesOn && sample.missionId !== null) await cancel(client, sample.missionId, 'the sample is taken again', bounds)
  if (!goesOn && hasFaults && sample.tries > 0) {
    await endPools(client, run.blueprint, poolOfSample(run.id, sample.id, sample.tries), {
      readyMs,
      signal: bounds.signal,
    })
  }
  const number = goesOn ? sample.tries : await beginTry(db, owner, sample.id)
  if (number === undefined) throw new RunLost()
  const folder = sampleFolder(base, run.id, sample.id, number)
  if (scenario.workspace !== undefined) {
    if (goesOn && sample.missionId !== null && !(await isThere(folder.work)))
      throw new Error('the workspace of the sample is not on this machine')
    await layOut(base, folder, scenario.workspace.files)
  }
  return { ctx, sample, scenario, number, folder, bounds, limits: limitsOf(ctx.suite, scenario, sampleTimeMs) }
}

async function run(one: Try, arena: Arena): Promise<{ end: MissionEnd; faultsInjected: string[] }> {
  const { ctx, sample, scenario, limits, folder, bounds } = one
  const { readyMs } = ctx.deps.settings
  const order = sampleMission({
    runId: ctx.run.id,
    suite: ctx.suite,
    scenario,
    blueprint: ctx.blueprint,
    pool: arena.pool,
    input: scenario.workspace === undefined ? scenario.input : fillWorkspace(scenario.input, folder.work),
    timeMs: limits.timeMs,
    queueMs: readyMs,
  })
  const { id } = await submit(ctx.client, order, `gym/${ctx.run.id}/${sample.id}/${one.number}`, bounds)
  if (!(await noteMission(ctx.db, ctx.owner, sample.id, id))) throw new RunLost()
  const kills = killsOf(scenario)
  // When one of the two fails, the other has nothing left to wait for.
  const together = new AbortController()
  const signal = AbortSignal.any([bounds.signal, together.signal])
  try {
    const [end, killed] = await Promise.all([
      awaitMission(ctx.client, id, limits, { ...bounds, signal }),
      kills.length === 0 ? [] : injectKills(ctx.client, id, arena.pool, kills, { readyMs, signal }),
    ])
    return { end, faultsInjected: [...killed, ...arena.modelFaults()] }
  } finally {
    together.abort()
  }
}

async function judge(
  one: Try,
  arena: Arena,
  { mission, exceeded }: MissionEnd,
  faultsInjected: readonly string[],
  tools: ScoreTools,
): Promise<SampleResult> {
  const { ctx, limits, bounds } = one
  const task = await taskOf(ctx.client, mission.id, bounds)
  if (arena.isModelAway()) throw new Error('the model behind the fault proxy could not be reached')
  if (exceeded === undefined) {
    const fault = platformFaultOf(task, await hasCrashed(one, arena, task))
    if (fault !== undefined) throw new Error(fault)
  }
  const evidence = await gatherEvidence(ctx.client, mission, task, { faultsInjected, since: mission.createdAt }, bounds)
  const scored = await scoreWithFiles(one, evidence, tools)
  const spent = exceeded ?? overspent(limits, evidence)
  const { passed, score, scores } = spent === undefined ? scored : withFailure(scored, 'limits', spent)
  return {
    state: passed ? 'passed' : 'failed',
    taskId: task.id,
    outcome: evidence.outcome,
    output: evidence.output,
    scores,
    score,
    latencyMs: evidence.latencyMs,
    tokens: evidence.tokens,
    usd: evidence.usd,
    faults: faultsInjected,
  }
}

/** Whether an instance of the pool ended by itself since the task was there; asked only where the answer matters. */
async function hasCrashed({ ctx, bounds }: Try, arena: Arena, task: Task): Promise<boolean> {
  if (task.error?.code !== 'lease_lost') return false
  const live = await livePool(ctx.client, arena.pool, { readyMs: bounds.awayMs, signal: bounds.signal })
  return live.some(({ crashes }) => crashes.some(({ at }) => Date.parse(at) >= Date.parse(task.createdAt)))
}

/** Scores what the agent left, from a copy that the agent cannot reach any more. */
async function scoreWithFiles(one: Try, evidence: Evidence, tools: ScoreTools): Promise<SampleScore> {
  const { scenario, folder } = one
  if (scenario.workspace === undefined) return await scoreSample(evidence, scenario.scorers, tools)
  let broken: string | undefined
  try {
    await copyWorkspace(folder.work, folder.scored)
    await patch(folder.scored, scenario.workspace.patch, evidence)
  } catch (error) {
    if (!(error instanceof WorkspaceFault)) throw error
    broken = error.message
  }
  const scored = await scoreSample({ ...evidence, workspace: folder.scored }, scenario.scorers, tools)
  return broken === undefined ? scored : withFailure(scored, 'workspace', broken)
}

async function patch(folder: string, name: string | undefined, { artifacts }: Evidence): Promise<void> {
  if (name === undefined) return
  if (!artifacts.names.includes(name)) throw new WorkspaceFault(`the task stored no artifact ${name}`)
  await applyPatch(folder, await artifacts.read(name))
}

/** A bound was broken that stands above all scorers. */
function withFailure({ scores }: SampleScore, kind: string, detail: string): SampleScore {
  const failure: Score = { scorer: kind, kind, score: 0, passed: false, detail }
  return { passed: false, score: 0, scores: [...scores, failure] }
}
