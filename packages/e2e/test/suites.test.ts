import { readFileSync } from 'node:fs'
import path from 'node:path'
import { createScriptedModel } from '@hypercode/base-agent/testing'
import type { ScriptedModel } from '@hypercode/base-agent/testing'
import { ROUTES } from '@hypercode/contracts'
import type { GymSample, Suite } from '@hypercode/contracts'
import { dataHome, provideBubblewrap } from '@hypercode/local-stack'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { coderScript } from './coder-script.ts'
import { examine } from './gym-scenario.ts'
import type { Examination } from './gym-scenario.ts'
import { startScenario } from './scenario.ts'
import type { Scenario } from './scenario.ts'

// Goal: the suites that ship with the agents are passed by the agents that ship with them, as the platform runs them: spawned by the
// factory, judged by the gym. The coder's model is scripted; everything around it is real.
const ROOT = path.resolve(import.meta.dirname, '../../..')
const SLOW = { timeout: 240_000 }

let platform: Scenario
let gym: Examination
let model: ScriptedModel
beforeAll(async () => {
  const bubblewrap = await provideBubblewrap(path.join(dataHome(ROOT).dir, 'runtime'), (line) =>
    process.stderr.write(`${line}\n`),
  )
  if (bubblewrap === undefined) throw new Error('the suite of the coder runs commands, and there is no bubblewrap')
  model = await createScriptedModel({ script: coderScript })
  platform = await startScenario({
    env: { GYM_READY_MS: '30000', PATH: `${path.dirname(bubblewrap)}:${process.env['PATH'] ?? ''}` },
  })
  gym = examine(platform)
}, 120_000)
afterAll(async () => {
  await platform.stop()
  gym.stop()
  await model.close()
})

/** Stores the suite as it ships, and gives its name. */
async function ship(file: string): Promise<string> {
  const body = readFileSync(path.join(ROOT, 'apps', file))
  const stored = await platform.client.raw(ROUTES.createSuite, { body, contentType: 'application/yaml' })
  return (JSON.parse(stored.body.toString('utf8')) as Suite).name
}

/** What went wrong, with the reason; empty when all is well. */
const wrong = (samples: readonly GymSample[]): string[] =>
  samples
    .filter(({ state }) => state !== 'passed')
    .map(({ scenario, state, error, outcome, scores }) =>
      JSON.stringify({ scenario, state, error, outcome, missed: scores.filter(({ passed }) => !passed) }),
    )

test('the auditor passes its suite', SLOW, async () => {
  const suite = await ship('auditor-agent/suites/findings.yaml')
  const skills = ['inventory', 'secrets', 'authentication', 'error-handling', 'database-pooling', 'logging']
  await gym.blueprint(
    'auditor',
    {},
    {
      entry: { path: path.join(ROOT, 'apps/auditor-agent/dist/server.js') },
      env: {},
      skills: skills.map((skill) => `audit.${skill}`),
      resources: { cpu: 2, memory: '1Gi' },
    },
  )
  const run = await gym.end((await gym.start(suite, 'auditor', 'candidate')).id, 180_000)
  expect(wrong(await gym.samples(run.id))).toEqual([])
  expect(run).toMatchObject({ state: 'completed', verdict: 'passed' })
})

test('the coder passes its suite, killed and refused by its model on the way', SLOW, async () => {
  const suite = await ship('coder-agent/suites/tasks.yaml')
  await gym.blueprint(
    'coder',
    {},
    {
      entry: { path: path.join(ROOT, 'apps/coder-agent/dist/server.js') },
      env: {},
      skills: ['code.edit', 'code.review', 'code.explain'],
      resources: { cpu: 2, memory: '1Gi' },
      model: { baseUrl: model.baseUrl, name: 'scripted', inputUsdPerMtok: 1, outputUsdPerMtok: 4 },
    },
  )
  const run = await gym.end((await gym.start(suite, 'coder', 'candidate')).id, 220_000)
  const samples = await gym.samples(run.id)
  expect(wrong(samples)).toEqual([])
  expect(run).toMatchObject({ state: 'completed', verdict: 'passed' })
  const faults = Object.fromEntries(samples.map(({ scenario, faultsInjected }) => [scenario, faultsInjected ?? []]))
  expect(faults['survives-a-kill']).toHaveLength(1)
  expect(faults['busy-model']).toEqual(expect.arrayContaining(['status 429', 'delay model 300 ms']))
  expect(samples.find(({ scenario }) => scenario === 'fix-off-by-one')?.tokens).toBeGreaterThan(0)

  const page = await platform.client.raw(ROUTES.getGymReport, { params: { id: run.id }, query: { format: 'html' } })
  expect(page.body.toString('utf8')).toContain('survives-a-kill')
  // The gateway makes answers inert; this one brings a policy that is as strict and lets its own style and script run.
  expect(page.headers['content-security-policy']).toMatch(
    /default-src 'none'; style-src 'sha256-.*sandbox allow-scripts/,
  )
})
