/** Brings up what the members of a crew need: who is ready serves, who sleeps is woken, and what is missing is spawned. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { AssembledMember, Assembly, CrewManifest, Fault } from '@hypercode/contracts'
import type { Static } from '@sinclair/typebox'
import { AppError } from '@hypercode/http'
import { findBlueprint, findStableOffering } from '../store/blueprints.ts'
import type { BlueprintRecord } from '../store/blueprints.ts'
import { findCandidates, findCrew, findReadyAgents } from '../store/crews.ts'
import type { Fleet } from './fleet.ts'
import { requestChange } from './requests.ts'
import { spawn } from './spawn.ts'

export interface AssemblyOrder {
  readonly tenantId: string
  readonly crew: string
  readonly version: number | undefined
  readonly waitMs: number
  readonly actor: string
  readonly signal: AbortSignal
}

type Member = CrewManifest['spec']['members'][number]

/** What one member needs, and where it can come from. */
interface Need {
  readonly member: Member
  readonly pointer: string
  /** Claim skills of whoever can do its work. */
  readonly skills: readonly string[]
  /** Undefined when somebody is ready already. */
  readonly source: BlueprintRecord | undefined
}

const POLL_MS = 100

/** All or nothing: as long as one member can have nobody, nothing is started. @throws crew_incomplete with one fault per member */
export async function assemble(fleet: Fleet, order: AssemblyOrder): Promise<Assembly> {
  const crew = await findCrew(fleet.db, order.tenantId, order.crew, order.version)
  if (crew === undefined)
    throw new AppError('not_found', { detail: `There is no such version of the crew ${order.crew}.` })
  const needs = await findNeeds(fleet, order.tenantId, crew.manifest)
  const spawned = await bringUp(fleet, order, needs)
  const members = await allReady(fleet, order, needs, spawned)
  return { crew: crew.name, version: crew.version, members }
}

async function findNeeds({ db }: Fleet, tenantId: string, manifest: CrewManifest): Promise<Need[]> {
  const faults: Fault[] = []
  const needs: Need[] = []
  for (const [index, member] of manifest.spec.members.entries()) {
    const pointer = `/spec/members/${index}`
    const named = await namedBlueprint(db, tenantId, member)
    if (named === 'missing') {
      faults.push({ pointer: `${pointer}/blueprint`, message: `there is no blueprint ${member.blueprint}` })
      continue
    }
    const skills = claimSkills(member, named)
    const isServed = (await findReadyAgents(db, tenantId, skills)).length > 0
    const source = isServed ? undefined : (named ?? (await findStableOffering(db, tenantId, offeredBy(member))))
    const fault = isServed ? undefined : whyNobody(member, source)
    if (fault === undefined) needs.push({ member, pointer, skills, source })
    else faults.push({ pointer, ...fault })
  }
  if (faults.length > 0) throw incomplete(faults)
  return needs
}

async function namedBlueprint(
  db: Fleet['db'],
  tenantId: string,
  { blueprint }: Member,
): Promise<BlueprintRecord | 'missing' | undefined> {
  if (blueprint === undefined) return undefined
  const [name = '', ref = ''] = blueprint.split('@')
  return (await findBlueprint(db, tenantId, name, ref)) ?? 'missing'
}

const claimSkills = ({ skill, requires = [], pool }: Member, named: BlueprintRecord | undefined): string[] => [
  pool === undefined ? skill : `${skill}@${pool}`,
  ...requires,
  ...(named === undefined ? [] : [`blueprint:${named.name}@${named.version}`]),
]

const offeredBy = ({ skill, requires = [] }: Member): string[] => [skill, ...requires]

function whyNobody(member: Member, source: BlueprintRecord | undefined): Omit<Fault, 'pointer'> | undefined {
  const wanted = offeredBy(member)
  if (source === undefined) {
    const fix = 'Start an agent with it, or promote a blueprint that has it.'
    return { message: `nobody is ready for ${wanted.join(' and ')}, and no stable blueprint offers it`, fix }
  }
  const lacks = wanted.filter((skill) => !source.manifest.spec.skills.includes(skill))
  if (lacks.length === 0) return undefined
  return { message: `${source.name}@${source.version} does not offer ${lacks.join(', ')}` }
}

/** Wakes or spawns one instance of each version that is needed, however many members share it; answers how many each member caused. */
async function bringUp(
  fleet: Fleet,
  order: AssemblyOrder,
  needs: readonly Need[],
): Promise<ReadonlyMap<string, number>> {
  const { tenantId, actor } = order
  const done = new Set<string>()
  const spawned = new Map<string, number>()
  for (const { member, pointer, source } of needs) {
    if (source === undefined) continue
    const { pool } = member
    const key = `${source.name}@${source.version}@${pool ?? ''}`
    if (done.has(key)) continue
    done.add(key)
    const candidates = await findCandidates(fleet.db, tenantId, {
      blueprint: source.name,
      version: source.version,
      pool,
    })
    const asleep = candidates.find((one) => one.isAsleep)
    if (asleep !== undefined) await requestChange(fleet, { name: 'wake', tenantId, id: asleep.id, actor })
    else if (candidates.length === 0) {
      try {
        await spawn(fleet, source, { count: 1, origin: 'assembly', pool, actor })
      } catch (error) {
        if (!(error instanceof AppError)) throw error
        throw incomplete([{ pointer, message: `${source.name}@${source.version}: ${error.message}` }], error)
      }
      spawned.set(member.id, 1)
    }
  }
  return spawned
}

async function allReady(
  fleet: Fleet,
  order: AssemblyOrder,
  needs: readonly Need[],
  spawned: ReadonlyMap<string, number>,
): Promise<Static<typeof AssembledMember>[]> {
  const untilMs = performance.now() + order.waitMs
  for (;;) {
    const members = await Promise.all(
      needs.map(async ({ member, skills, source }) => ({
        id: member.id,
        skill: member.skill,
        ...(source !== undefined && { blueprint: `${source.name}@${source.version}` }),
        instanceIds: await findReadyAgents(fleet.db, order.tenantId, skills),
        spawned: spawned.get(member.id) ?? 0,
      })),
    )
    const missing = needs.filter((_, index) => members[index]?.instanceIds.length === 0)
    if (missing.length === 0) return members
    if (performance.now() >= untilMs || order.signal.aborted)
      throw incomplete(await Promise.all(missing.map(async (need) => await whyNotReady(fleet, order.tenantId, need))))
    await sleep(POLL_MS)
  }
}

async function whyNotReady({ db }: Fleet, tenantId: string, { member, pointer, source }: Need): Promise<Fault> {
  if (source === undefined) return { pointer, message: 'whoever was ready for it has gone' }
  const { name: blueprint, version } = source
  const [first] = await findCandidates(db, tenantId, { blueprint, version, pool: member.pool })
  const how =
    first === undefined
      ? 'has no instance that runs'
      : `is ${first.lifecycle}${first.reason === null ? '' : `: ${first.reason}`}`
  return { pointer, message: `${blueprint}@${version} ${how}`, fix: 'Wait, or look at its instances.' }
}

const incomplete = (faults: Fault[], cause?: unknown): AppError =>
  new AppError('crew_incomplete', { detail: `${faults.length} members have nobody.`, faults, cause })
