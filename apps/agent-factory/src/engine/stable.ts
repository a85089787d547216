/** Moves `stable`: up by the evidence of the gym alone, back to what held it before. Every decision is kept, the refused ones too. */
import { changeFleet } from '@hypercode/events'
import type { FleetJournal } from '@hypercode/events'
import { AppError } from '@hypercode/http'
import { judgeGate, stableBefore } from '../domain/gate.ts'
import type { GateAnswer } from '../domain/gate.ts'
import type { FactoryMetrics } from '../metrics.ts'
import { findBlueprint, pointAlias } from '../store/blueprints.ts'
import type { BlueprintRecord } from '../store/blueprints.ts'
import { addPromotion, listPromotions, readEvidence, readHistory } from '../store/promotions.ts'
import type { PromotionRecord } from '../store/promotions.ts'
import type { Fleet } from './fleet.ts'
import { noBlueprint } from './not-there.ts'

export interface StableOrder {
  readonly tenantId: string
  readonly name: string
  readonly actor: string
}

/** @throws gym_required with what is missing; the refusal is kept */
export async function promote(
  { db, publish }: Fleet,
  metrics: FactoryMetrics,
  { tenantId, name, actor, ref }: StableOrder & { ref: string },
): Promise<PromotionRecord> {
  const outcome = await changeFleet(db, publish, [tenantId], async (trx, journal) => {
    const blueprint = await findBlueprint(trx, tenantId, name, ref)
    if (blueprint === undefined) return undefined
    const suites = blueprint.manifest.spec.gate?.suites
    const gate = judgeGate(suites, await readEvidence(trx, blueprint, suites))
    if (gate.may && blueprint.aliases.includes('stable')) {
      const past = await listPromotions(trx, tenantId, name, { limit: 100, below: undefined })
      const known = past.find((one) => one.kind === 'promoted' && one.version === blueprint.version)
      if (known !== undefined) return { decision: known, gate, isNew: false }
    }
    const stable = gate.may
      ? blueprint.version
      : ((await findBlueprint(trx, tenantId, name, 'stable'))?.version ?? null)
    const decision = await addPromotion(trx, tenantId, {
      blueprint: name,
      kind: gate.may ? 'promoted' : 'refused',
      version: blueprint.version,
      stable,
      hash: blueprint.hash,
      runIds: gate.may ? [...gate.runIds] : [],
      reason: reasonOf(gate),
      actor,
    })
    if (gate.may) await pointAlias(trx, tenantId, name, 'stable', blueprint.version)
    tell(journal, tenantId, decision)
    return { decision, gate, isNew: true }
  })
  if (outcome === undefined) throw noBlueprint(name, ref)
  const { decision, gate, isNew } = outcome
  if (isNew) metrics.promotions.inc({ kind: decision.kind })
  if (!gate.may) throw new AppError('gym_required', { detail: decision.reason, faults: gate.missing })
  return decision
}

const reasonOf = (gate: GateAnswer): string =>
  gate.may ? `passed in ${gate.runIds.join(', ')}` : gate.missing.map((fault) => fault.message).join('; ')

/** @throws conflict when nothing is stable, or not the `version` that the caller has in mind */
export async function demote(
  { db, publish }: Fleet,
  metrics: FactoryMetrics,
  { tenantId, name, actor, reason, version }: StableOrder & { reason: string; version?: number },
): Promise<PromotionRecord> {
  const decision = await changeFleet(db, publish, [tenantId], async (trx, journal) => {
    if ((await findBlueprint(trx, tenantId, name, 'latest')) === undefined) throw noBlueprint(name)
    const present = await findBlueprint(trx, tenantId, name, 'stable')
    if (present === undefined)
      throw new AppError('conflict', { detail: 'No version is stable, so none can be taken back.' })
    if (version !== undefined && version !== present.version)
      throw new AppError('conflict', { detail: `Version ${present.version} is stable, and not ${version}.` })
    const before = stableBefore(await readHistory(trx, tenantId, name))
    await pointAlias(trx, tenantId, name, 'stable', before)
    const decision = await addPromotion(trx, tenantId, demotion(present, before, actor, reason))
    tell(journal, tenantId, decision)
    return decision
  })
  metrics.promotions.inc({ kind: decision.kind })
  return decision
}

const demotion = (
  { name, version, hash }: BlueprintRecord,
  before: number | undefined,
  actor: string,
  reason: string,
) => ({
  blueprint: name,
  kind: 'demoted' as const,
  version,
  stable: before ?? null,
  hash,
  runIds: [],
  reason,
  actor,
})

function tell(journal: FleetJournal, tenantId: string, decision: PromotionRecord): void {
  const { blueprint, version, stable, hash, runIds, reason, kind, actor } = decision
  const body = { name: blueprint, version, hash, runIds, reason, ...(stable !== null && { stable }) }
  const action = `blueprint.${kind}` as const
  // A refusal moves nothing, so nobody who watches has to know; the audit does.
  if (action !== 'blueprint.refused')
    journal.add({ tenantId, type: action, ref: `blueprints/${blueprint}/versions/${version}`, body })
  journal.audit({ tenantId, actor, action, ref: `${blueprint}@${version}`, detail: body })
}
