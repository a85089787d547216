import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { ROUTES } from '@hypercode/contracts'
import type {
  Blueprint,
  GateRule,
  GymRun,
  GymSample,
  Instance,
  Scenario as GymScenario,
  SuiteManifest,
} from '@hypercode/contracts'
import { waitFor } from '@hypercode/testkit/tools'
import type { Platform } from '../src/platform.ts'

const EXAMINEE = path.resolve(import.meta.dirname, '../agents/examinee.ts')

/** A step that an examinee really did. */
export interface StepDone {
  readonly taskId: string
  readonly step: number
  readonly pid: number
}

/** What tests of the gym do on a platform. */
export interface Examination {
  blueprint(name: string, env?: Record<string, string>, spec?: Record<string, unknown>): Promise<Blueprint>
  suite(name: string, scenarios: GymScenario[], spec?: Partial<SuiteManifest['spec']>): Promise<void>
  start(suite: string, blueprint: string, version: string): Promise<GymRun>
  read(id: string): Promise<GymRun>
  until(id: string, what: string, fits: (run: GymRun) => boolean, timeoutMs?: number): Promise<GymRun>
  /** Waits until it has a verdict, or has failed. */
  end(id: string, timeoutMs?: number): Promise<GymRun>
  samples(id: string): Promise<GymSample[]>
  /** Instances that live in pools of this run. */
  instances(run: GymRun): Promise<Instance[]>
  done(): StepDone[]
  stop(): void
}

export const ALL_PASS: GateRule = { kind: 'thresholds', passRate: 1 }

export const adding = (id: string, a: number, b: number, more: Record<string, unknown> = {}): GymScenario => ({
  id,
  input: { a, b, ...more },
  scorers: [{ kind: 'equals', at: 'sum', value: a + b }],
})

export function examine({ client }: Platform): Examination {
  const folder = mkdtempSync(path.join(tmpdir(), 'hypercode-examinee-'))
  chmodSync(folder, 0o755)
  const effects = path.join(folder, 'effects.jsonl')
  writeFileSync(effects, '')
  chmodSync(effects, 0o666)
  const read = async (id: string): Promise<GymRun> => (await client.call(ROUTES.getGymRun, { params: { id } })).body
  const until: Examination['until'] = async (id, what, fits, timeoutMs = 60_000) =>
    await waitFor(
      async () => {
        const run = await read(id)
        return fits(run) ? run : undefined
      },
      { what, timeoutMs },
    )
  return {
    read,
    until,
    async blueprint(name, env = {}, spec = {}) {
      const { body } = await client.call(ROUTES.createBlueprint, {
        body: {
          apiVersion: 'hypercode/v1',
          kind: 'Blueprint',
          metadata: { name },
          spec: {
            entry: { path: EXAMINEE },
            env: { EFFECTS_PATH: effects, ...env },
            skills: ['math.add'],
            slots: 4,
            resources: { cpu: 1, memory: '512Mi' },
            population: { min: 0, max: 8 },
            ...spec,
          },
        },
      })
      return body
    },
    async suite(name, scenarios, spec = {}) {
      await client.call(ROUTES.createSuite, {
        body: {
          apiVersion: 'hypercode/v1',
          kind: 'Suite',
          metadata: { name },
          spec: { skill: 'math.add', gate: ALL_PASS, scenarios, ...spec },
        },
      })
    },
    start: async (suite, blueprint, blueprintVersion) =>
      (await client.call(ROUTES.startGymRun, { body: { suite, blueprint, blueprintVersion } })).body,
    end: async (id, timeoutMs) => await until(id, `run ${id} to end`, (run) => run.endedAt !== undefined, timeoutMs),
    samples: async (id) =>
      (await client.call(ROUTES.listGymSamples, { params: { id }, query: { limit: 500 } })).body.items,
    async instances(run) {
      const { body } = await client.call(ROUTES.listInstances, {
        query: { blueprint: run.blueprint, live: true, limit: 500 },
      })
      return body.items.filter(({ pool }) => pool?.startsWith(`gym-${run.id.slice(-12)}`))
    },
    done: () =>
      readFileSync(effects, 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as StepDone),
    stop: () => rmSync(folder, { recursive: true, force: true }),
  }
}
