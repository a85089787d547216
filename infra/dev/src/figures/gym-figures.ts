import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { ApiError } from '@hypercode/client'
import { ROUTES } from '@hypercode/contracts'
import type { Blueprint, GymRun } from '@hypercode/contracts'
import { startPlatform } from '@hypercode/e2e'
import type { Platform } from '@hypercode/e2e'
import { ROOT } from '../checkout.ts'
import type { FigureSpec } from './figure.ts'

const EXAMINEE = path.join(ROOT, 'packages/e2e/agents/examinee.ts')
const RUN_MAX_MS = 120_000
const SIMULATED = 20_000
const RULE = { kind: 'sequential', good: 0.95, bad: 0.8, alpha: 0.05, beta: 0.05, maxSamples: 2000 } as const

export const gymGate: FigureSpec = {
  name: 'gym-gate',
  about:
    'a version that fails its suite is neither promoted nor spawned as stable, before and after; one that passes is',
  bar: '0 doors open',
  async measure() {
    const platform = await startPlatform({ durable: true, env: { LOG_LEVEL: 'warn' } })
    const { client } = platform
    try {
      await client.call(ROUTES.createSuite, { body: SUITE })
      const bad = await version(platform, { ERROR: '1' })
      const doors: string[] = []
      const tryAll = async (when: string): Promise<void> => {
        const params = { name: bad.name, version: String(bad.version) }
        if (!(await isRefused(client.call(ROUTES.promoteBlueprint, { params }), 'gym_required')))
          doors.push(`promote ${when}`)
        const stable = { params: { name: bad.name, version: 'stable' }, body: { waitMs: 5000 }, timeoutMs: 10_000 }
        if (!(await isRefused(client.call(ROUTES.spawnInstances, stable)))) doors.push(`spawn stable ${when}`)
      }
      await tryAll('without a run')
      const failed = await run(platform, bad)
      await tryAll('after a failed run')

      const good = await version(platform, {})
      const passed = await run(platform, good)
      // The evidence of the good version is not the bad one's.
      await tryAll('with the run of another version')
      const params = { name: good.name, version: String(good.version) }
      const { body: promotion } = await client.call(ROUTES.promoteBlueprint, { params })
      const { body } = await client.call(ROUTES.spawnInstances, {
        params: { name: good.name, version: 'stable' },
        body: { waitMs: 20_000 },
        timeoutMs: 30_000,
      })
      const isStable = body.instances[0]?.version === good.version && promotion.stable === good.version
      return {
        figure: doors.length,
        unit: 'doors open',
        ok: doors.length === 0 && failed.verdict === 'failed' && passed.verdict === 'passed' && isStable,
        more: {
          bad: failed.verdict ?? failed.state,
          good: passed.verdict ?? passed.state,
          promoted: isStable,
          doors: doors.join('; '),
        },
      }
    } finally {
      await platform.stop()
    }
  },
}

export const gymErrors: FigureSpec = {
  name: 'gym-errors',
  about: `true pass rates 0.95 and 0.80 told apart with alpha = beta = 0.05, and two equal versions called different, in ${SIMULATED.toLocaleString('en')} simulated runs each`,
  bar: 'every error <= 5 %',
  async measure() {
    // Built like everything that is measured; an app exports nothing to others.
    const built = pathToFileURL(path.join(ROOT, 'apps/turing-gym/dist/statistics/index.js')).href
    const { compareRuns, judgeSequence } = (await import(built)) as Statistics
    const random = mulberry32(2026)
    const draws = function* (rate: number): Generator<boolean> {
      for (;;) yield random() < rate
    }
    const share = (isHit: () => boolean): number => {
      let hits = 0
      for (let turn = 0; turn < SIMULATED; turn += 1) if (isHit()) hits += 1
      return hits / SIMULATED
    }
    const verdict = (rate: number) => judgeSequence(RULE, draws(rate)).verdict
    const sample = (rate: number, at: number) => ({
      scenario: `s${at % 6}`,
      repetition: Math.floor(at / 6) + 1,
      state: random() < rate ? ('passed' as const) : ('failed' as const),
    })
    const runOf = (rate: number) => ({ id: 'run', samples: Array.from({ length: 60 }, (_, at) => sample(rate, at)) })
    const different = (): boolean =>
      ['better', 'worse'].includes(compareRuns(runOf(0.9), runOf(0.9), { alpha: 0.05 }).verdict)

    const goodFailed = share(() => verdict(RULE.good) === 'failed')
    const badPassed = share(() => verdict(RULE.bad) === 'passed')
    const equalDifferent = share(different)
    const worst = Math.max(goodFailed, badPassed, equalDifferent)
    return {
      figure: percent(worst),
      unit: '% worst error',
      ok: worst <= 0.05,
      more: {
        goodFailed: percent(goodFailed),
        badPassed: percent(badPassed),
        equalCalledDifferent: percent(equalDifferent),
        seed: 2026,
      },
    }
  },
}

/** What is used here of the gym's statistics. */
interface Statistics {
  readonly judgeSequence: (rule: object, results: Iterable<boolean>) => { readonly verdict?: string }
  readonly compareRuns: (
    after: object,
    before: object,
    options: { readonly alpha: number },
  ) => { readonly verdict: string }
}

const percent = (share: number): number => Math.round(share * 10_000) / 100

const SUITE = {
  apiVersion: 'hypercode/v1' as const,
  kind: 'Suite' as const,
  metadata: { name: 'sums' },
  spec: {
    skill: 'math.add',
    gate: { kind: 'thresholds' as const, passRate: 1 },
    scenarios: [1, 2, 3].map((a) => ({
      id: `sum-${a}`,
      input: { a, b: 2 },
      scorers: [{ kind: 'equals' as const, at: 'sum', value: a + 2 }],
    })),
  },
}

/** Stores a version of an agent that adds two numbers; with ERROR in its environment it is wrong. */
async function version({ client }: Platform, env: Record<string, string>): Promise<Blueprint> {
  const { body } = await client.call(ROUTES.createBlueprint, {
    body: {
      apiVersion: 'hypercode/v1',
      kind: 'Blueprint',
      metadata: { name: 'adder' },
      spec: {
        entry: { path: EXAMINEE },
        env,
        skills: ['math.add'],
        slots: 4,
        resources: { cpu: 1, memory: '512Mi' },
        gate: { suites: ['sums'] },
      },
    },
  })
  return body
}

async function run({ client }: Platform, { name, version: number }: Blueprint): Promise<GymRun> {
  const { body: started } = await client.call(ROUTES.startGymRun, {
    body: { suite: 'sums', blueprint: name, blueprintVersion: String(number) },
  })
  const untilMs = performance.now() + RUN_MAX_MS
  for (;;) {
    const { body } = await client.call(ROUTES.getGymRun, { params: { id: started.id } })
    if (body.endedAt !== undefined) return body
    if (performance.now() > untilMs) throw new Error(`gym run ${body.id} is still ${body.state} after ${RUN_MAX_MS} ms`)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

async function isRefused(call: Promise<unknown>, code?: string): Promise<boolean> {
  try {
    await call
    return false
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    return code === undefined || error.code === code
  }
}

/** Numbers from 0 to 1, the same for the same seed. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
