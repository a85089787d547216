import { createScriptedModel } from '@hypercode/base-agent/testing'
import { ApiError } from '@hypercode/client'
import { ROUTES } from '@hypercode/contracts'
import type { CloudEvent } from '@hypercode/contracts'
import { waitFor } from '@hypercode/testkit/tools'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { adding, examine } from './gym-scenario.ts'
import type { Examination } from './gym-scenario.ts'
import { startScenario } from './scenario.ts'
import type { Scenario } from './scenario.ts'

let platform: Scenario
let gym: Examination
beforeAll(async () => {
  platform = await startScenario({
    gyms: 2,
    env: { GYM_LEASE_MS: '2000', GYM_POLL_MS: '200', GYM_LIVE_MS: '300', GYM_READY_MS: '30000' },
  })
  gym = examine(platform)
}, 120_000)
afterAll(async () => {
  await platform.stop()
  gym.stop()
})

const SLOW = { timeout: 120_000 }

const refusal = async (work: Promise<unknown>): Promise<ApiError> => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof ApiError)) throw new Error(`it was not refused: ${String(error)}`)
  return error
}

const promote = async (name: string, version: string) =>
  (await platform.client.call(ROUTES.promoteBlueprint, { params: { name, version } })).body

test('a version becomes stable by a passing run of its content, and not before', SLOW, async () => {
  await gym.suite(
    'sums',
    [adding('small', 1, 2), adding('large', 40, 2), adding('refused', -1, 1)].map((one, index) =>
      index === 2 ? { ...one, scorers: [{ kind: 'outcome' as const, is: 'rejected' as const }] } : one,
    ),
    { repetitions: 2 },
  )
  const wrong = await gym.blueprint('adder', { ERROR: '1' }, { gate: { suites: ['sums'] } })
  expect(wrong.version).toBe(1)
  expect(await refusal(promote('adder', '1'))).toMatchObject({ status: 403, code: 'gym_required' })

  const lost = await gym.end((await gym.start('sums', 'adder', '1')).id)
  expect(lost).toMatchObject({ state: 'completed', verdict: 'failed', blueprintHash: wrong.hash })
  expect(await refusal(promote('adder', '1'))).toMatchObject({ status: 403, code: 'gym_required' })

  const right = await gym.blueprint('adder', {}, { gate: { suites: ['sums'] } })
  const won = await gym.end((await gym.start('sums', 'adder', 'candidate')).id)
  expect(won).toMatchObject({
    state: 'completed',
    verdict: 'passed',
    blueprintVersion: 2,
    blueprintHash: right.hash,
    samples: { planned: 6, finished: 6, passed: 6, failed: 0, errored: 0 },
  })
  expect(won.scenarios?.map(({ id, passRate }) => [id, passRate])).toEqual([
    ['small', 1],
    ['large', 1],
    ['refused', 1],
  ])
  expect(await promote('adder', '2')).toMatchObject({ kind: 'promoted', version: 2, runIds: [won.id] })
  expect(await refusal(promote('adder', '1'))).toMatchObject({ status: 403 })

  await waitFor(async () => (await gym.instances(won)).length === 0, {
    what: 'the instances of the run to end',
    timeoutMs: 30_000,
  })
  const { body: audit } = await platform.client.call(ROUTES.listAudit, { query: { limit: 200 } })
  const verdicts = audit.items.filter(({ action }) => action === 'gym.run.completed')
  expect(new Set(verdicts.map(({ ref }) => ref))).toEqual(new Set([lost.id, won.id]))

  for (const [format, holds] of [
    ['json', '"verdict"'],
    ['junit', '<testsuite'],
    ['html', '<!doctype html>'],
  ] as const) {
    const report = await platform.client.raw(ROUTES.getGymReport, {
      params: { id: won.id },
      query: { format, with: lost.id },
    })
    expect(report.body.toString('utf8')).toContain(holds)
  }
  const { body: comparison } = await platform.client.call(ROUTES.compareGymRuns, {
    params: { id: won.id },
    query: { with: lost.id },
  })
  expect(comparison.scenarios.find(({ id }) => id === 'small')).toMatchObject({ before: 0, after: 1 })
})

test('what an agent leaves in its workspace is scored, by files and by a command', SLOW, async () => {
  await gym.blueprint('writer')
  const input = { a: 1, b: 2, write: '${workspace}' }
  const workspace = { files: { 'given/readme.md': 'add them\n' } }
  await gym.suite('files', [
    {
      id: 'right',
      input,
      workspace,
      scorers: [
        { kind: 'file-equals', file: 'sum.txt', content: '3\n' },
        { kind: 'file-exists', file: 'given/readme.md' },
      ],
    },
    { id: 'wrong', input, workspace, scorers: [{ kind: 'file-equals', file: 'sum.txt', content: '4\n' }] },
    { id: 'command', input, workspace, scorers: [{ kind: 'command', argv: ['grep', '-q', '^3$', 'sum.txt'] }] },
  ])
  const run = await gym.end((await gym.start('files', 'writer', '1')).id)
  expect(run.verdict).toBe('failed')
  const samples = await gym.samples(run.id)
  expect(samples.map(({ scenario, state }) => [scenario, state])).toEqual([
    ['right', 'passed'],
    ['wrong', 'failed'],
    ['command', 'passed'],
  ])
})

test('an agent that cannot even start is no verdict: the run fails and says why', SLOW, async () => {
  await gym.blueprint('stillborn', { BROKEN: 'yes' }, { restart: { crashes: 2, initialInterval: '100ms' } })
  await gym.suite('unborn', [adding('one', 1, 2)])
  const run = await gym.end((await gym.start('unborn', 'stillborn', '1')).id, 90_000)
  expect(run).toMatchObject({ state: 'failed', samples: { passed: 0, failed: 0 } })
  expect(run.error).toContain('quarantined')
  expect(run).not.toHaveProperty('verdict')
  await waitFor(async () => (await gym.instances(run)).length === 0, {
    what: 'the instances to end',
    timeoutMs: 30_000,
  })
})

test(
  'a sample that spends more than it may, or takes longer, has failed, and what it spent is told',
  SLOW,
  async () => {
    await gym.blueprint('late')
    const slow = adding('slow', 1, 2, { stepMs: 20_000 })
    const greedy = { ...adding('greedy', 1, 2, { spend: 100, stepMs: 20_000 }), limits: { tokens: 50 } }
    const frugal = { ...adding('frugal', 1, 2, { spend: 50 }), limits: { tokens: 50 } }
    await gym.suite('late', [{ ...slow, limits: { time: '1s' } }, adding('quick', 1, 2), greedy, frugal])
    const run = await gym.end((await gym.start('late', 'late', '1')).id)
    const samples = await gym.samples(run.id)
    expect(samples.map(({ scenario, state }) => [scenario, state])).toEqual([
      ['slow', 'failed'],
      ['quick', 'passed'],
      ['greedy', 'failed'],
      ['frugal', 'passed'],
    ])
    expect(samples[0]).toMatchObject({ outcome: 'failed' })
    expect(samples[2]).toMatchObject({ outcome: 'canceled', tokens: 100, usd: 0.1 })
    expect(samples[2]?.scores.at(-1)).toMatchObject({
      kind: 'limits',
      passed: false,
      detail: 'it used 100 tokens of 50',
    })
    expect(samples[3]).toMatchObject({ tokens: 50, usd: 0.05 })
    expect(run.verdict).toBe('failed')
  },
)

test('a canceled run ends its missions and instances, and goes on where it was when it is resumed', SLOW, async () => {
  await gym.blueprint('patient')
  await gym.suite(
    'slow',
    [1, 2, 3, 4, 5, 6].map((n) => adding(`n${n}`, n, n, { stepMs: n < 3 ? 10 : 2000 })),
    { parallel: 2 },
  )
  const { id } = await gym.start('slow', 'patient', '1')
  await gym.until(id, 'the first two samples', (run) => run.samples.passed >= 2)
  const { body: canceled } = await platform.client.call(ROUTES.cancelGymRun, { params: { id } })
  expect(canceled).toMatchObject({ state: 'canceled' })
  await waitFor(async () => (await gym.instances(canceled)).length === 0, {
    what: 'the instances to end',
    timeoutMs: 30_000,
  })
  const before = await gym.samples(id)
  expect(before.filter(({ state }) => state === 'passed').length).toBeGreaterThanOrEqual(2)
  expect(before.some(({ state }) => state === 'skipped')).toBe(true)
  for (const { missionId } of before.filter((one) => one.state === 'skipped' && one.missionId !== undefined)) {
    const { body: mission } = await platform.client.call(ROUTES.getMission, { params: { id: String(missionId) } })
    expect(mission.state).toBe('canceled')
  }
  await waitFor(
    async () => {
      try {
        return (await platform.client.call(ROUTES.resumeGymRun, { params: { id } })).body.state === 'queued'
      } catch (error) {
        if (error instanceof ApiError && error.status === 409) return false
        throw error
      }
    },
    { what: 'the run to be resumed', timeoutMs: 15_000 },
  )
  const run = await gym.end(id)
  expect(run).toMatchObject({ state: 'completed', verdict: 'passed', samples: { passed: 6 } })
  const after = new Map((await gym.samples(id)).map((one) => [one.id, one.missionId]))
  for (const one of before.filter(({ state }) => state === 'passed')) expect(after.get(one.id)).toBe(one.missionId)
})

test('gyms that are killed in the middle of a run carry it on, and no sample is taken twice', SLOW, async () => {
  await gym.blueprint('steady')
  await gym.suite(
    'long',
    [1, 2, 3, 4, 5, 6, 7, 8].map((n) => adding(`n${n}`, n, n, { steps: 2, stepMs: 500 })),
    { parallel: 2 },
  )
  const before = gym.done().length
  const { id } = await gym.start('long', 'steady', '1')
  await gym.until(id, 'the first samples', (run) => run.samples.passed >= 1)
  for (const one of platform.gyms) one.kill('SIGKILL')
  await Promise.all(platform.gyms.map(async (one) => await one.exited))
  await Promise.all(platform.gyms.map(async (one) => await one.restart()))
  const run = await gym.end(id)
  expect(run).toMatchObject({ verdict: 'passed', samples: { planned: 8, passed: 8, errored: 0 } })
  const steps = gym.done().slice(before)
  expect(steps).toHaveLength(16)
  expect(new Set(steps.map(({ taskId, step }) => `${taskId} ${step}`)).size).toBe(16)
  await waitFor(async () => (await gym.instances(run)).length === 0, {
    what: 'the instances to end',
    timeoutMs: 30_000,
  })
})

test('a gym that freezes loses its run to another one, and harms nothing when it wakes up', SLOW, async () => {
  await gym.blueprint('frozen')
  const scenarios = [1, 2, 3, 4, 5, 6, 7, 8].map((n) => adding(`n${n}`, n, n, { steps: 2, stepMs: 500 }))
  await gym.suite('frozen', scenarios, { parallel: 2 })
  const before = gym.done().length
  const { id } = await gym.start('frozen', 'frozen', '1')
  await gym.until(id, 'the first samples', (run) => run.samples.passed >= 1)
  const holders = () =>
    platform.gyms.filter(({ lines }) => lines.some((line) => line['msg'] === 'run taken' && line['runId'] === id))
  const [holder] = holders()
  expect(holder?.kill('SIGSTOP')).toBe(true)
  try {
    // The frozen one may be the one that the gateway asks, so this looks at what the other one says.
    await waitFor(() => holders().length === 2, { what: 'the other gym to take the run', timeoutMs: 30_000 })
  } finally {
    holder?.kill('SIGCONT')
  }
  const run = await gym.end(id)
  expect(run).toMatchObject({ verdict: 'passed', samples: { planned: 8, passed: 8, errored: 0 } })
  const steps = gym.done().slice(before)
  expect(steps).toHaveLength(16)
  expect(new Set(steps.map(({ taskId, step }) => `${taskId} ${step}`)).size).toBe(16)
})

test(
  'an agent that is killed at a step loses nothing and does nothing twice, and the score says so',
  SLOW,
  async () => {
    await gym.blueprint('tough')
    const killed = adding('killed', 2, 3, { steps: 4, stepMs: 400 })
    await gym.suite('chaos', [
      { ...killed, faults: [{ kill: 'agent', at: 'step:2' }], scorers: [...killed.scorers, { kind: 'resilience' }] },
    ])
    const run = await gym.end((await gym.start('chaos', 'tough', '1')).id)
    const [sample] = await gym.samples(run.id)
    expect(sample).toMatchObject({ state: 'passed', outcome: 'completed', faultsInjected: ['kill agent at step:2'] })
    expect(sample?.scores.find(({ kind }) => kind === 'resilience')?.detail).toContain('2 attempts')
    expect(
      new Set(
        gym
          .done()
          .filter(({ taskId }) => taskId === sample?.taskId)
          .map(({ pid }) => pid),
      ).size,
    ).toBe(2)
    expect(run.verdict).toBe('passed')
  },
)

test('a sequential test ends a run as soon as it has decided', SLOW, async () => {
  await gym.blueprint('hopeless', { ERROR: '1' })
  const gate = { kind: 'sequential', good: 0.95, bad: 0.5, alpha: 0.05, beta: 0.05, maxSamples: 60 } as const
  await gym.suite('sequence', [adding('one', 1, 2), adding('two', 2, 2)], { gate, parallel: 2 })
  const run = await gym.end((await gym.start('sequence', 'hopeless', '1')).id)
  expect(run).toMatchObject({ state: 'completed', verdict: 'failed', samples: { planned: 60, passed: 0 } })
  expect(run.samples.failed).toBeLessThan(10)
  expect(run.reasons[0]).toContain('sequential test decided')
})

test('faults of a model are injected on the way to it, and told', SLOW, async () => {
  const model = await createScriptedModel({ script: () => ({ text: 'go on' }) })
  try {
    await gym.blueprint('asker', {}, { model: { baseUrl: model.baseUrl, name: 'scripted' } })
    const asking = adding('asking', 2, 3, { ask: true })
    await gym.suite('models', [
      asking,
      {
        ...asking,
        id: 'refused',
        faults: [
          { status: 429, times: 2 },
          { delay: 'model', ms: 200, times: 1 },
        ],
        scorers: [...asking.scorers, { kind: 'resilience' }],
      },
    ])
    const run = await gym.end((await gym.start('models', 'asker', '1')).id)
    const [plain, refused] = await gym.samples(run.id)
    expect(plain).toMatchObject({ state: 'passed', faultsInjected: [] })
    expect(refused).toMatchObject({ state: 'passed' })
    expect(refused?.faultsInjected).toEqual(['delay model 200 ms', 'status 429', 'status 429'])
    expect(model.requests).toHaveLength(2)
  } finally {
    await model.close()
  }
})

test('an agent that looks for the answers finds none', SLOW, async () => {
  await gym.blueprint('snoop')
  const canary = 'canary-4f1d9c'
  await gym.suite('snooped', [
    {
      id: 'secret',
      description: canary,
      input: { a: 1, b: 1, snoop: '${workspace}' },
      workspace: { files: { 'task.md': 'add' } },
      scorers: [{ kind: 'contains', name: 'hidden', text: canary }],
    },
  ])
  const run = await gym.end((await gym.start('snooped', 'snoop', '1')).id)
  const [sample] = await gym.samples(run.id)
  const found = (sample?.output as { found: string[] } | undefined)?.found ?? []
  expect(found.filter((one) => one.includes(canary))).toEqual([])
  expect(sample?.state).toBe('failed')
  // It did look: its own file and the routes that an agent may read are there, those of the gym are closed.
  expect(found.some((one) => one.includes('task.md add'))).toBe(true)
  expect(found.filter((one) => one.startsWith('/v1/gym/')).map((one) => one.split(' ')[1])).toEqual([
    '403',
    '403',
    '403',
  ])
  expect(found.find((one) => one.startsWith('/v1/missions'))).toContain(' 200 ')
})

test('a run tells its progress as events of the tenant', SLOW, async () => {
  const seen: CloudEvent[] = []
  const stop = new AbortController()
  const reading = (async () => {
    for await (const event of platform.client.stream(ROUTES.watchAgents, { query: { cursor: 0 }, signal: stop.signal }))
      seen.push(event)
  })().catch((error: unknown) => {
    if (!stop.signal.aborted) throw error
  })
  await gym.blueprint('told')
  await gym.suite(
    'told',
    [1, 2, 3, 4].map((n) => adding(`n${n}`, n, n, { stepMs: 700 })),
    { parallel: 1 },
  )
  const { id } = await gym.start('told', 'told', '1')
  await gym.end(id)
  const ofRun = () => seen.filter((event) => event.subject === `gym/runs/${id}`).map(({ type }) => type)
  await waitFor(() => ofRun().includes('hypercode.gym.run.completed.v1'), { what: 'the last event of the run' })
  stop.abort()
  await reading
  expect(ofRun()[0]).toBe('hypercode.gym.run.started.v1')
  expect(ofRun().filter((type) => type === 'hypercode.gym.run.progress.v1').length).toBeGreaterThan(1)
})

test('a stable version that fails in production is demoted by its live scores', SLOW, async () => {
  const rule = { kind: 'thresholds', passRate: 0.8 } as const
  const live = { sample: 1, scorers: [{ kind: 'path' as const, at: 'sum', value: 3 }], rule }
  await gym.suite('watched', [adding('one', 1, 2)], { live })
  await gym.blueprint('server', {}, { gate: { suites: ['watched'] } })
  await gym.end((await gym.start('watched', 'server', '1')).id)
  await promote('server', '1')
  await gym.blueprint('server', { TAG: 'next' }, { gate: { suites: ['watched'] } })
  await gym.end((await gym.start('watched', 'server', '2')).id)
  await promote('server', '2')

  const work = async (a: number) => {
    const { body } = await platform.client.call(ROUTES.submitMission, {
      body: {
        manifest: {
          apiVersion: 'hypercode/v1',
          kind: 'Crew',
          metadata: { name: 'production' },
          spec: {
            members: [{ id: 'one', skill: 'math.add', blueprint: 'server@stable' }],
            tasks: [{ id: 'add', member: 'one', input: { a, b: 2 } }],
          },
        },
      },
    })
    return await platform.end(body.id, 60_000)
  }
  expect((await work(1)).state).toBe('completed')
  const stable = async () =>
    (await platform.client.call(ROUTES.getBlueprint, { params: { name: 'server', version: 'stable' } })).body.version
  expect(await stable()).toBe(2)
  await Promise.all([5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16].map(async (a) => await work(a)))
  await waitFor(async () => (await stable()) === 1, { what: 'the version to be demoted', timeoutMs: 30_000 })
  const { body: history } = await platform.client.call(ROUTES.listPromotions, { params: { name: 'server' } })
  expect(history.items[0]).toMatchObject({ kind: 'demoted', version: 2, stable: 1 })
  expect(history.items[0]?.reason).toContain('failed the live rule of watched@1')
})
