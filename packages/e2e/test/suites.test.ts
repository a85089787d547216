import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createScriptedModel } from '@hypercode/base-agent/testing'
import type { ScriptedModel } from '@hypercode/base-agent/testing'
import { ROUTES } from '@hypercode/contracts'
import type { GymSample, Suite } from '@hypercode/contracts'
import { dataHome, provideBubblewrap } from '@hypercode/local-stack'
import { randomSecret } from '@hypercode/testkit/tools'
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
let secrets: string
beforeAll(async () => {
  const bubblewrap = await provideBubblewrap(path.join(dataHome(ROOT).dir, 'runtime'), (line) =>
    process.stderr.write(`${line}\n`),
  )
  if (bubblewrap === undefined) throw new Error('the suite of the coder runs commands, and there is no bubblewrap')
  const apiKey = randomSecret()
  model = await createScriptedModel({ script: coderScript, apiKey })
  secrets = mkdtempSync(path.join(tmpdir(), 'hypercode-secrets-'))
  writeFileSync(path.join(secrets, 'openai-api-key'), apiKey, { mode: 0o600 })
  platform = await startScenario({
    env: {
      GYM_READY_MS: '30000',
      FACTORY_SECRETS_DIR: secrets,
      FACTORY_ENV_FROM: 'MODEL_BASE_URL,MODEL_NAME,MODEL_INPUT_USD_PER_MTOK,MODEL_OUTPUT_USD_PER_MTOK,SANDBOX_BWRAP',
      MODEL_BASE_URL: model.baseUrl,
      MODEL_NAME: 'scripted',
      MODEL_INPUT_USD_PER_MTOK: '1',
      MODEL_OUTPUT_USD_PER_MTOK: '4',
      SANDBOX_BWRAP: bubblewrap,
    },
  })
  gym = examine(platform)
}, 120_000)
afterAll(async () => {
  await platform.stop()
  gym.stop()
  await model.close()
  rmSync(secrets, { recursive: true, force: true })
})

/** Stores the suite as it ships, and gives its name. */
async function ship(file: string): Promise<string> {
  const body = readFileSync(path.join(ROOT, 'apps', file))
  const stored = await platform.client.raw(ROUTES.createSuite, { body, contentType: 'application/yaml' })
  return (JSON.parse(stored.body.toString('utf8')) as Suite).name
}

/** Stores the blueprint as it ships: the module is found where the package is installed, secrets and settings are the factory's. */
async function shipBlueprint(app: string): Promise<void> {
  const body = readFileSync(path.join(ROOT, 'apps', app, 'blueprint.yaml'))
  await platform.client.raw(ROUTES.createBlueprint, { body, contentType: 'application/yaml' })
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
  await shipBlueprint('auditor-agent')
  const run = await gym.end((await gym.start(suite, 'auditor', 'candidate')).id, 180_000)
  expect(wrong(await gym.samples(run.id))).toEqual([])
  expect(run).toMatchObject({ state: 'completed', verdict: 'passed' })
})

test('the coder passes its suite, killed and refused by its model on the way', SLOW, async () => {
  const suite = await ship('coder-agent/suites/tasks.yaml')
  await shipBlueprint('coder-agent')
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
