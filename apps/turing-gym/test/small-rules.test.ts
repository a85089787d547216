import { newId } from '@hypercode/contracts'
import type { CloudEvent, Task } from '@hypercode/contracts'
import { expect, test } from 'vitest'
import { platformFaultOf } from '../src/domain/blame.ts'
import { isSampled, judgeLive } from '../src/domain/live-verdict.ts'
import { runFaults } from '../src/domain/run-request.ts'
import { fillWorkspace, limitsOf, poolOfSample, poolPrefix, sampleMission } from '../src/domain/sample-mission.ts'
import { createKillPlan } from '../src/platform/kills.ts'
import { overspent } from '../src/platform/mission.ts'
import type { JudgedSample } from '../src/statistics/index.ts'
import { blueprintOf, suiteOf } from './gym.ts'

const task = (more: Partial<Task>): Task => ({
  id: newId(),
  missionId: newId(),
  key: 'sample',
  state: 'failed',
  skill: 'math.add',
  priority: 0,
  attempt: 1,
  maxAttempts: 3,
  createdAt: new Date().toISOString(),
  version: 1,
  ...more,
})

test('only what an agent did, or failed to do, is put down to it', () => {
  const error = (code: string) => ({ error: { code, message: 'words' } })
  const agents: Partial<Task>[] = [
    { state: 'completed' },
    { state: 'rejected' },
    error('agent_error'),
    error('total_timeout'),
    error('attempt_timeout'),
    error('heartbeat_timeout'),
  ]
  for (const one of agents) expect(platformFaultOf(task(one), false)).toBeUndefined()
  const platforms: Partial<Task>[] = [
    { state: 'canceled' },
    { state: 'skipped', reason: 'why' },
    error('queue_timeout'),
    { ...error('total_timeout'), attempt: 0 },
    error('lease_lost'),
  ]
  for (const one of platforms) expect(platformFaultOf(task(one), false)).toEqual(expect.any(String))
  expect(platformFaultOf(task(error('lease_lost')), true)).toBeUndefined()
})

test('of a scenario, its mission holds the input and nothing else', () => {
  const suite = suiteOf()
  const scenario = {
    id: 'one',
    description: 'canary-description',
    input: { text: '${mission.secret}', folder: 'x' },
    workspace: { files: { 'canary-file': 'canary-content' } },
    faults: [{ kill: 'agent' as const, at: 'step:1', times: 2 }],
    scorers: [{ kind: 'contains' as const, name: 'canary-scorer', text: 'canary-expected' }],
  }
  const mission = sampleMission({
    runId: newId(),
    suite,
    scenario,
    blueprint: { name: 'adder', version: 3 },
    pool: 'gym-1',
    input: scenario.input,
    timeMs: 5000,
    queueMs: 1000,
  })
  expect(JSON.stringify(mission)).not.toContain('canary')
  expect(mission.input).toEqual(scenario.input)
  expect(mission.manifest).toMatchObject({
    spec: {
      members: [{ skill: 'math.add', blueprint: 'adder@3', pool: 'gym-1' }],
      tasks: [{ input: '${mission.input}', retry: { maxAttempts: 5 }, timeouts: { queue: '1000ms', total: '5000ms' } }],
    },
  })
})

test('the folder of a sample stands wherever its input asks for it, and only there', () => {
  const input = { root: '${workspace}', list: ['in ${workspace}/a and ${workspace}/b', 7, null], $: '${other}' }
  expect(fillWorkspace(input, '/w/$&')).toEqual({
    root: '/w/$&',
    list: ['in /w/$&/a and /w/$&/b', 7, null],
    $: '${other}',
  })
})

test('limits of a scenario go before those of the suite, and both before what the gym has', () => {
  const suite = suiteOf('s', { limits: { time: '2s', tokens: 10 } })
  const [scenario] = suite.spec.scenarios
  if (scenario === undefined) throw new Error('the suite has scenarios')
  expect(limitsOf(suite, scenario, 60_000)).toEqual({ timeMs: 2000, tokens: 10, usd: undefined })
  expect(limitsOf(suite, { ...scenario, limits: { time: '1s', usd: 1 } }, 60_000)).toEqual({
    timeMs: 1000,
    tokens: 10,
    usd: 1,
  })
  expect(limitsOf(suiteOf(), scenario, 60_000).timeMs).toBe(60_000)
  expect(overspent({ tokens: 10, usd: undefined }, { tokens: 10, usd: 5 })).toBeUndefined()
  expect(overspent({ tokens: 10, usd: undefined }, { tokens: 11, usd: 0 })).toContain('11 tokens of 10')
  expect(overspent({ tokens: undefined, usd: 1 }, { tokens: 0, usd: 1.5 })).toContain('1.5 USD of 1')
})

test('pools are names that a crew may use, and those of a run begin alike', () => {
  const [run, sample] = [newId(), newId()]
  for (const pool of [poolPrefix(run), poolOfSample(run, sample, 12)]) {
    expect(pool).toMatch(/^[a-z0-9][a-z0-9-]{0,62}$/)
    expect(pool.startsWith(poolPrefix(run))).toBe(true)
  }
})

test('kills come at their step or claim, as often as they say, and no step counts twice', () => {
  const events = [
    'claimed',
    'step.recorded',
    'progress',
    'step.recorded',
    'claimed',
    'step.recorded',
    'step.recorded',
    'completed',
  ]
  const killsAt = (...kills: Parameters<typeof createKillPlan>[0]): [number, ...string[]][] => {
    const plan = createKillPlan(kills)
    return events.flatMap((name, index) => {
      const due = plan.next({ type: `hypercode.task.${name}.v1` } as CloudEvent)
      return due.length === 0 ? [] : [[index, ...due]]
    })
  }
  expect(killsAt({ kill: 'agent', at: 'start' })).toEqual([[0, 'kill agent at start']])
  expect(killsAt({ kill: 'agent', at: 'start', times: 5 }).map(([index]) => index)).toEqual([0, 4])
  expect(killsAt({ kill: 'agent', at: 'step:2' })).toEqual([[3, 'kill agent at step:2']])
  expect(killsAt({ kill: 'agent', at: 'step:2', times: 2 }).map(([index]) => index)).toEqual([3, 5])
  expect(killsAt({ kill: 'agent', at: 'step:9' })).toEqual([])
  expect(killsAt({ kill: 'agent', at: 'start' }, { kill: 'agent', at: 'step:1' }).map(([index]) => index)).toEqual([
    0, 1,
  ])
})

test('the share of production tasks that is scored is about as declared, the same everywhere, and not to be foreseen without the secret', () => {
  const ids = Array.from({ length: 4000 }, () => newId())
  const sampled = ids.filter((id) => isSampled('one secret', id, 0.25))
  // Five standard deviations of a binomial count.
  expect(Math.abs(sampled.length - 1000)).toBeLessThan(5 * Math.sqrt(4000 * 0.25 * 0.75))
  expect(ids.filter((id) => isSampled('one secret', id, 0.25))).toEqual(sampled)
  expect(ids.filter((id) => isSampled('another secret', id, 0.25))).not.toEqual(sampled)
  expect(ids.every((id) => isSampled('one secret', id, 1))).toBe(true)
})

const results = (text: string): JudgedSample[] =>
  [...text].map((letter, index) => ({
    scenario: 'production',
    repetition: index + 1,
    state: letter === 'p' ? 'passed' : 'failed',
  }))

test('a stable version is not taken down by its first failure, but by failures that cannot be chance', () => {
  const rule = { kind: 'thresholds', passRate: 0.8 } as const
  for (const few of ['f', 'pppf', 'fffffffff', 'pppppppfff']) {
    expect(judgeLive(rule, results(few)).verdict, few).not.toBe('failed')
  }
  for (const enough of ['ffffffffff', 'pfffffffff', 'ppppfpfpffffff']) {
    expect(judgeLive(rule, results(enough)).verdict, enough).toBe('failed')
  }
})

test('a sequential test begins anew after it has decided for the version', () => {
  const rule = { kind: 'sequential', good: 0.95, bad: 0.6, alpha: 0.05, beta: 0.05, maxSamples: 50 } as const
  expect(judgeLive(rule, results('p'.repeat(40))).verdict).toBeUndefined()
  expect(judgeLive(rule, results(`${'p'.repeat(40)}fffff`)).verdict).toBe('failed')
  expect(judgeLive(rule, [])).toEqual({ reasons: [] })
})

test('what the gym or the blueprint cannot do is said before a run begins', () => {
  const blueprint = { name: 'adder', version: 1, hash: 'x', manifest: blueprintOf() }
  const all = { hasModel: true, hasSandbox: true }
  const none = { hasModel: false, hasSandbox: false }
  expect(runFaults(suiteOf(), blueprint, none)).toEqual([])
  expect(runFaults(suiteOf('s', { skill: 'code.edit' }), blueprint, all)).toMatchObject([{ pointer: '/blueprint' }])
  const needy = suiteOf('s', {
    scenarios: [
      {
        id: 'one',
        input: {},
        faults: [{ status: 429, times: 1 }],
        scorers: [
          { kind: 'judge', rubric: 'good' },
          { kind: 'command', argv: ['true'] },
        ],
      },
    ],
  })
  expect(runFaults(needy, blueprint, all)).toEqual([])
  expect(runFaults(needy, blueprint, none)).toHaveLength(3)
  const named = { ...blueprint, manifest: blueprintOf('adder', { model: { baseUrl: 'http://127.0.0.1:1' } }) }
  expect(runFaults(needy, named, none)).toHaveLength(2)
})
