import { readFileSync } from 'node:fs'
import path from 'node:path'
import { ROUTES } from '@hypercode/contracts'
import type { Blueprint, BlueprintManifest, Instance } from '@hypercode/contracts'
import type { HyperClient } from '@hypercode/client'
import { parse } from 'yaml'
import { folderOf } from './service-env.ts'

/** Agents of one app of this checkout. */
export interface Crewing {
  /** Folder below `apps` with a blueprint.yaml, built. */
  readonly app: string
  readonly count: number
  /** Secrets of the blueprint that the factory does not have, and that the agent can do without. */
  readonly withoutSecrets?: readonly string[]
}

const READY_MS = 30_000

/** Has the factory run `count` instances of the blueprint that the app ships, and no other version of it; resolves when all are ready. */
export async function crew(client: HyperClient, crewing: Crewing, signal: AbortSignal): Promise<Instance[]> {
  const { count } = crewing
  const { body: blueprint } = await client.call(ROUTES.createBlueprint, { body: blueprintOf(crewing), signal })
  const live = await liveInstances(client, blueprint.name, signal)
  const kept = live.filter((one) => isFit(one, blueprint)).slice(0, count)
  await endAll(
    client,
    live.filter((one) => !kept.includes(one)),
    signal,
  )
  if (kept.length === count) return kept
  const { body } = await client.call(ROUTES.spawnInstances, {
    params: { name: blueprint.name, version: String(blueprint.version) },
    body: { count: count - kept.length, waitMs: READY_MS },
    timeoutMs: READY_MS + 10_000,
    signal,
  })
  const late = body.instances.find(({ lifecycle }) => lifecycle !== 'ready')
  if (late !== undefined) throw new Error(describe(late))
  return [...kept, ...body.instances]
}

/** What the factory of an earlier start has taken over is as good as new when it is well. */
const isFit = (one: Instance, { version }: Blueprint): boolean => one.version === version && one.lifecycle === 'ready'

async function endAll(client: HyperClient, instances: readonly Instance[], signal?: AbortSignal): Promise<void> {
  await Promise.all(
    instances.map(
      async ({ id }) =>
        await client.call(ROUTES.endInstance, { params: { id }, ...(signal !== undefined && { signal }) }),
    ),
  )
}

async function liveInstances(client: HyperClient, blueprint?: string, signal?: AbortSignal): Promise<Instance[]> {
  const { body } = await client.call(ROUTES.listInstances, {
    query: { live: true, limit: 500, ...(blueprint !== undefined && { blueprint }) },
    ...(signal !== undefined && { signal }),
  })
  return body.items
}

/** The blueprint that the app ships; its module is the app itself, as the factory finds it in this checkout. */
function blueprintOf({ app, withoutSecrets = [] }: Crewing): BlueprintManifest {
  const manifest = parse(readFileSync(path.join(folderOf(app), 'blueprint.yaml'), 'utf8')) as BlueprintManifest
  const { secrets = {}, ...spec } = manifest.spec
  const kept = Object.entries(secrets).filter(([variable]) => !withoutSecrets.includes(variable))
  return { ...manifest, spec: { ...spec, secrets: Object.fromEntries(kept) } }
}

function describe({ blueprint, lifecycle, reason, lastLines, crashes }: Instance): string {
  const why = reason ?? crashes[0]?.detail ?? crashes[0]?.reason
  return [
    `an instance of ${blueprint} is ${lifecycle}, not ready${why === undefined ? '' : `: ${why}`}`,
    ...(lastLines ?? []),
  ].join('\n')
}
