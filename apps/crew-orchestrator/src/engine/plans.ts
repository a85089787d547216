import type { Crew, CrewManifest, SubmitMission } from '@hypercode/contracts'
import type { Lane } from '@hypercode/db'
import { AppError } from '@hypercode/http'
import { compile, withBlueprints } from '../manifest/compile.ts'
import type { CrewPlan } from '../manifest/compile.ts'
import { readManifest } from '../manifest/parse.ts'
import type { BlueprintAsk } from '../store/blueprints.ts'
import type { CrewRef } from '../store/crews.ts'

/** What a mission is planned from: a stored crew, or a manifest that came with the request. */
export interface PlannedCrew {
  plan: CrewPlan
  crewVersion: number | null
  manifest: unknown
}

export interface PlanSource {
  /** Throws 404 for an unknown crew, 422 with every fault for a bad manifest or unknown blueprints, 400 when both or neither are given. */
  planOf(tenantId: string, body: Pick<SubmitMission, 'crew' | 'manifest'>): Promise<PlannedCrew>
  /** Tasks that a manager plans into a mission of this crew. Throws 422 with every fault. */
  planWithin(tenantId: string, manifest: CrewManifest, tasks: CrewManifest['spec']['tasks']): Promise<CrewPlan>
}

const PLANS_MAX = 1000

export interface PlanLanes {
  crews: Lane<CrewRef, Crew | undefined>
  blueprints: Lane<BlueprintAsk, ReadonlyMap<string, number>>
}

/** Compiles each stored version once. Versions never change, so the cache needs no expiry, only a bound. */
export function createPlanSource({ crews, blueprints }: PlanLanes): PlanSource {
  const plans = new Map<string, CrewPlan>()

  const compiled = (crew: Crew): CrewPlan => {
    const known = plans.get(crew.id)
    if (known !== undefined) return known
    const plan = compile(crew.manifest)
    if (plans.size >= PLANS_MAX) plans.delete(plans.keys().next().value as string)
    plans.set(crew.id, plan)
    return plan
  }

  /** What a blueprint means is looked up each time: an alias moves. `at` is where the manifest stands in the request. */
  const settled = async (tenantId: string, plan: CrewPlan, at: string): Promise<CrewPlan> => {
    if (plan.blueprints.length === 0) return plan
    const references = [...new Set(plan.blueprints.map(({ reference }) => reference))]
    const versions = await blueprints.submit({ tenantId, references })
    const unknown = plan.blueprints.filter(({ reference }) => !versions.has(reference))
    if (unknown.length === 0) return withBlueprints(plan, versions)
    const faults = unknown.map(({ reference, pointer }) => ({
      pointer: `${at}${pointer}`,
      message: `there is no blueprint ${reference}`,
      fix: 'Name a version that exists, or an alias that points to one.',
    }))
    throw new AppError('unprocessable', { detail: `There is no blueprint ${unknown[0]?.reference}.`, faults })
  }

  return {
    async planOf(tenantId, { crew: reference, manifest }) {
      if ((reference === undefined) === (manifest === undefined)) {
        throw new AppError('request_invalid', {
          faults: [{ pointer: '', message: 'needs exactly one of "crew" and "manifest"' }],
        })
      }
      if (reference !== undefined) {
        const [name, version] = reference.split('@') as [string, string | undefined]
        const crew = await crews.submit({ tenantId, name, version: version === undefined ? 'latest' : Number(version) })
        if (crew === undefined)
          throw new AppError('not_found', {
            detail: `There is no crew ${reference}.`,
            fix: 'Store it with POST /v1/crews.',
          })
        return { plan: await settled(tenantId, compiled(crew), ''), crewVersion: crew.version, manifest: null }
      }
      const read = readManifest(manifest)
      if (read.manifest === undefined)
        throw new AppError('manifest_invalid', {
          faults: read.faults.map((fault) => ({ ...fault, pointer: `/manifest${fault.pointer}` })),
        })
      const plan = await settled(tenantId, compile(read.manifest), '/manifest')
      return { plan, crewVersion: null, manifest: read.manifest }
    },
    async planWithin(tenantId, manifest, tasks) {
      const { manager: _, ...spec } = manifest.spec
      const read = readManifest({ ...manifest, spec: { ...spec, process: 'dag', tasks } })
      if (read.manifest === undefined) {
        throw new AppError('manifest_invalid', {
          faults: read.faults.map((fault) => ({
            ...fault,
            pointer: fault.pointer.replace(/^\/spec\/tasks/, '/tasks'),
          })),
        })
      }
      return await settled(tenantId, compile(read.manifest), '')
    },
  }
}
