import type { Crew, CrewManifest, SubmitMission } from '@hypercode/contracts'
import type { Lane } from '@hypercode/db'
import { AppError } from '@hypercode/http'
import { compile, withBlueprints } from '../manifest/compile.ts'
import type { CrewPlan } from '../manifest/compile.ts'
import { readManifest } from '../manifest/parse.ts'
import type { BlueprintAsk } from '../store/blueprints.ts'
import type { CrewRef } from '../store/crews.ts'
import { CrewOutdated } from './submit.ts'

type CrewOfMission = Pick<SubmitMission, 'crew' | 'manifest'>

/** What a mission is planned from: a stored crew, or a manifest that came with the request. */
export interface PlannedCrew {
  plan: CrewPlan
  crewVersion: number | null
  manifest: unknown
  /** Of the newest version that this process has seen: whoever stores the mission makes sure that there is no newer one. */
  isRemembered: boolean
}

export interface PlanSource {
  /** Throws 404 for an unknown crew, 422 with every fault for a bad manifest or unknown blueprints, 400 when both or neither are given. */
  planOf(tenantId: string, body: CrewOfMission): Promise<PlannedCrew>
  /**
   * The same without a look into the database where this process knows the crew, for `work` that fails with `CrewOutdated` when it has a newer
   * version by now. Then it is done once more, with that.
   */
  fromMemory<T>(tenantId: string, body: CrewOfMission, work: (source: PlannedCrew) => Promise<T>): Promise<T>
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
  /** By tenant and reference, as it was found last. */
  const memory = new Map<string, { plan: CrewPlan; version: number }>()

  const compiled = (crew: Crew): CrewPlan => {
    const known = plans.get(crew.id)
    if (known !== undefined) return known
    const plan = compile(crew.manifest)
    keep(plans, crew.id, plan)
    return plan
  }

  const find = async (tenantId: string, reference: string): Promise<{ plan: CrewPlan; version: number }> => {
    const [name, version] = reference.split('@') as [string, string | undefined]
    const crew = await crews.submit({ tenantId, name, version: version === undefined ? 'latest' : Number(version) })
    if (crew === undefined)
      throw new AppError('not_found', {
        detail: `There is no crew ${reference}.`,
        fix: 'Store it with POST /v1/crews.',
      })
    const found = { plan: compiled(crew), version: crew.version }
    keep(memory, `${tenantId} ${reference}`, found)
    return found
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

  const planOf = async (
    tenantId: string,
    { crew: reference, manifest }: CrewOfMission,
    mayRemember: boolean,
  ): Promise<PlannedCrew> => {
    if ((reference === undefined) === (manifest === undefined)) {
      throw new AppError('request_invalid', {
        faults: [{ pointer: '', message: 'needs exactly one of "crew" and "manifest"' }],
      })
    }
    if (reference !== undefined) {
      const known = mayRemember ? memory.get(`${tenantId} ${reference}`) : undefined
      const { plan, version } = known ?? (await find(tenantId, reference))
      const isRemembered = known !== undefined && !reference.includes('@')
      return { plan: await settled(tenantId, plan, ''), crewVersion: version, manifest: null, isRemembered }
    }
    const read = readManifest(manifest)
    if (read.manifest === undefined)
      throw new AppError('manifest_invalid', {
        faults: read.faults.map((fault) => ({ ...fault, pointer: `/manifest${fault.pointer}` })),
      })
    const plan = await settled(tenantId, compile(read.manifest), '/manifest')
    return { plan, crewVersion: null, manifest: read.manifest, isRemembered: false }
  }

  return {
    planOf: async (tenantId, body) => await planOf(tenantId, body, false),
    async fromMemory(tenantId, body, work) {
      try {
        return await work(await planOf(tenantId, body, true))
      } catch (error) {
        if (!(error instanceof CrewOutdated)) throw error
        return await work(await planOf(tenantId, body, false))
      }
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

/** Forgets the oldest when there are too many. */
function keep<T>(known: Map<string, T>, key: string, value: T): void {
  if (known.size >= PLANS_MAX && !known.has(key)) known.delete(known.keys().next().value as string)
  known.set(key, value)
}
