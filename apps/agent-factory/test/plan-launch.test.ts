import { expect, test } from 'vitest'
import { LaunchRefused } from '../src/drivers/driver.ts'
import { createLaunchSecret } from '../src/engine/launch-secret.ts'
import { planLaunch } from '../src/engine/plan-launch.ts'
import type { LaunchSettings } from '../src/engine/plan-launch.ts'
import { SecretMissing } from '../src/engine/secrets-folder.ts'
import { instanceOf } from './domain/instance-of.ts'

const SETTINGS: LaunchSettings = {
  agentUrl: 'http://gateway:7000',
  agentDrainMs: 10_000,
  handedOn: { TZ: 'UTC', LANG: 'C' },
  allowsPath: () => true,
  secrets: {
    has: () => true,
    read: (name) => {
      if (name === 'gone') throw new SecretMissing('The factory has no secret "gone".')
      return `value of ${name}`
    },
  },
}
const START = { launchId: 'launch', clientSecret: 'client secret' }

test('a process gets what its blueprint says, what the spawn says over it, and who it is above all', () => {
  const model = { baseUrl: 'http://model/v1', name: 'small', inputUsdPerMtok: 0.5 }
  const spec = {
    env: { A: 'blueprint', B: 'blueprint' },
    envFrom: ['TZ'],
    secrets: { OPENAI_API_KEY: 'openai' },
    model,
    slots: 3,
  }
  const instance = instanceOf({ env: { B: 'spawn', HYPERCODE_URL: 'http://evil', AGENT_SLOTS: '99' } }, spec)
  const plan = planLaunch(instance, START, SETTINGS)
  expect(plan.env).toEqual({
    A: 'blueprint',
    B: 'spawn',
    TZ: 'UTC',
    MODEL_BASE_URL: 'http://model/v1',
    MODEL_NAME: 'small',
    MODEL_INPUT_USD_PER_MTOK: '0.5',
    DRAIN_MS: '10000',
    HYPERCODE_URL: 'http://gateway:7000',
    HYPERCODE_CLIENT_ID: instance.clientId,
    AGENT_SLOTS: '3',
    AGENT_PORT: '0',
  })
  expect(plan.secrets).toEqual({ OPENAI_API_KEY: 'value of openai', HYPERCODE_CLIENT_SECRET: 'client secret' })
  expect(plan).toMatchObject({ launchId: 'launch', instanceId: instance.id, cpu: 1, memoryBytes: 512 * 1024 ** 2 })
})

test('what is no longer there is a refusal in words', () => {
  const without = (spec: object) => () => planLaunch(instanceOf({}, { ...spec }), START, SETTINGS)
  expect(without({ secrets: { A: 'gone' } })).toThrow(new LaunchRefused('The factory has no secret "gone".'))
  expect(() => planLaunch(instanceOf(), START, { ...SETTINGS, allowsPath: () => false })).toThrow(LaunchRefused)
})

test('every replica makes the same secret for a launch, and another one for each', () => {
  const [one, other] = [createLaunchSecret('factory secret'), createLaunchSecret('factory secret')]
  expect(one('a')).toBe(other('a'))
  expect(one('a')).not.toBe(one('b'))
  expect(one('a')).not.toBe(createLaunchSecret('another secret')('a'))
  expect(one('a').length).toBeGreaterThanOrEqual(43)
})
