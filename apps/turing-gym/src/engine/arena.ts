import type { Scenario } from '@hypercode/contracts'
import { createModelFaultProxy } from '../chaos/index.ts'
import { modelUrlOf } from '../domain/run-request.ts'
import { modelFaultsOf, poolPrefix } from '../domain/sample-mission.ts'
import { endPools, fillPool } from '../platform/pool.ts'
import type { RunContext } from './run-context.ts'

/** Where one try of a sample takes place. */
export interface Arena {
  readonly pool: string
  /** What was done to the model so far, one entry per fault. */
  modelFaults(): readonly string[]
  /** Whether a request did not get through to the model, which nobody had asked for. */
  isModelAway(): boolean
  /** Ends what was made for this try alone. */
  close(): Promise<void>
}

/** The instances that all samples without faults share. */
export const sharedPool = (runId: string): string => poolPrefix(runId)

/** A sample with faults gets an instance, and a way to the model, of its own. */
export async function openArena(
  ctx: RunContext,
  scenario: Scenario,
  ownPool: string,
  signal: AbortSignal,
): Promise<Arena> {
  const { deps, run, blueprint, client } = ctx
  if ((scenario.faults ?? []).length === 0) {
    return {
      pool: sharedPool(run.id),
      modelFaults: () => [],
      isModelAway: () => false,
      close: async () => await Promise.resolve(),
    }
  }
  const faults = modelFaultsOf(scenario)
  const upstream = modelUrlOf(blueprint.manifest) ?? deps.model?.baseUrl
  if (faults.length > 0 && upstream === undefined)
    throw new Error(
      'the scenario has faults of a model, and neither the blueprint nor the gym names one: set MODEL_BASE_URL',
    )
  const proxy =
    faults.length === 0 || upstream === undefined ? undefined : await createModelFaultProxy({ upstream, faults })
  const close = async (): Promise<void> => {
    await proxy?.close()
    // Given up: what is left is ended with the run, or by whoever takes the sample again.
    if (!signal.aborted) await endPools(client, run.blueprint, ownPool, { readyMs: deps.settings.readyMs, signal })
  }
  try {
    const env = proxy === undefined ? undefined : { MODEL_BASE_URL: proxy.url }
    const order = { pool: ownPool, blueprint, count: 1, ...(env !== undefined && { env }) }
    await fillPool(client, order, { readyMs: deps.settings.readyMs, signal })
  } catch (error) {
    await close()
    throw error
  }
  return {
    pool: ownPool,
    modelFaults: () => proxy?.injected() ?? [],
    isModelAway: () => (proxy?.counts.unreachable ?? 0) > 0,
    close,
  }
}
