import path from 'node:path'
import { ROUTES } from '@hypercode/contracts'
import type { Blueprint, Instance, Mission } from '@hypercode/contracts'
import { waitFor } from '@hypercode/testkit/tools'
import type { Platform } from './platform.ts'

const MADE = path.resolve(import.meta.dirname, '../agents/made.ts')

/** What tests do with a factory, through the gateway. */
export function fleetOf({ client }: Pick<Platform, 'client'>) {
  const get = async (id: string): Promise<Instance> => (await client.call(ROUTES.getInstance, { params: { id } })).body
  const until = async (
    id: string,
    what: string,
    fits: (one: Instance) => boolean,
    timeoutMs = 20_000,
  ): Promise<Instance> =>
    await waitFor(
      async () => {
        const found = await get(id)
        return fits(found) ? found : undefined
      },
      { what, timeoutMs },
    )
  const list = async (blueprint: string, live = true): Promise<Instance[]> =>
    (await client.call(ROUTES.listInstances, { query: { blueprint, live, limit: 500 } })).body.items

  return {
    get,
    until,
    list,
    /** Stores a blueprint of `agents/made.ts`, an agent with a name and a skill of its own; the spec is merged over a small one. */
    async blueprint(name: string, spec: Record<string, unknown> = {}): Promise<Blueprint> {
      const skill = `made.${name}`
      const manifest = {
        apiVersion: 'hypercode/v1',
        kind: 'Blueprint',
        metadata: { name },
        spec: {
          entry: { path: MADE },
          args: [name, skill],
          skills: [skill],
          slots: 2,
          resources: { cpu: 1, memory: '512Mi' },
          ...spec,
        },
      }
      return (await client.call(ROUTES.createBlueprint, { body: manifest as never })).body
    },
    async spawn(name: string, body: object = {}, version = 'candidate'): Promise<Instance[]> {
      const answer = await client.call(ROUTES.spawnInstances, {
        params: { name, version },
        body: { waitMs: 25_000, ...body },
        timeoutMs: 40_000,
      })
      return answer.body.instances
    },
    async stop(instances: readonly Instance[]): Promise<void> {
      for (const { id } of instances) await client.call(ROUTES.endInstance, { params: { id } })
      for (const { id } of instances) await until(id, 'the instance to end', (one) => one.endedAt !== undefined)
    },
    /** A mission of tasks for the blueprint's skill. */
    async submit(name: string, inputs: readonly object[], member: object = {}): Promise<Mission> {
      const manifest = {
        apiVersion: 'hypercode/v1',
        kind: 'Crew',
        metadata: { name: `${name}-work` },
        spec: {
          process: 'parallel',
          members: [{ id: 'one', skill: `made.${name}`, ...member }],
          tasks: inputs.map((input, index) => ({ id: `t${index}`, member: 'one', input, retry: { maxAttempts: 5 } })),
        },
      }
      return (await client.call(ROUTES.submitMission, { body: { manifest: manifest as never, input: {} } })).body
    },
    async end(id: string, timeoutMs = 40_000): Promise<Mission> {
      return await waitFor(
        async () => {
          const { body } = await client.call(ROUTES.getMission, { params: { id } })
          return body.endedAt === undefined ? undefined : body
        },
        { what: `mission ${id} to end`, timeoutMs },
      )
    },
  }
}

export type Fleet = ReturnType<typeof fleetOf>

/** Process id of an instance of the process driver. */
export function pidOf({ place = '' }: Instance): number {
  const pid = /^process (\d+) on /.exec(place)?.[1]
  if (pid === undefined) throw new Error(`no process in "${place}"`)
  return Number(pid)
}

/** Whether a process of that id runs. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
