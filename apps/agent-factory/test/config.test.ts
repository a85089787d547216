import { randomSecret } from '@hypercode/testkit/tools'
import { expect, test } from 'vitest'
import { readConfig } from '../src/config.ts'
import { driversConfig } from '../src/options.ts'

const GOOD = {
  DATABASE_URL: `postgres://hypercode:${randomSecret()}@127.0.0.1:6432/hypercode`,
  REDIS_URL: `redis://:${randomSecret()}@127.0.0.1:6379/0`,
  JWT_SECRET: randomSecret(),
  FACTORY_SECRET: randomSecret(),
}

test('what is left out has its default, and the process driver is the one that there is', () => {
  const config = readConfig(GOOD)
  expect(config).toMatchObject({
    FACTORY_PORT: 7030,
    FACTORY_TICK_MS: 500,
    FACTORY_STOP_AGENTS: false,
    FACTORY_ENTRY_ROOTS: [],
  })
  expect(driversConfig(config, '/here')).toEqual({
    installation: 'hypercode',
    process: { folder: '/var/lib/hypercode/factory', modulesFrom: ['/here'] },
  })
})

test.for<[string, Record<string, string>, string]>([
  ['no secret of its own', { FACTORY_SECRET: '' }, 'FACTORY_SECRET'],
  ['a secret that serves twice', { FACTORY_SECRET: GOOD.JWT_SECRET }, 'FACTORY_SECRET'],
  ['a driver that nobody knows', { FACTORY_DRIVERS: 'process,chroot' }, 'FACTORY_DRIVERS'],
  ['a relative folder', { FACTORY_DIR: 'factory' }, 'FACTORY_DIR'],
  ['a relative root of entries', { FACTORY_ENTRY_ROOTS: '/srv,apps' }, 'FACTORY_ENTRY_ROOTS'],
  ['a grace that kills agents which do as they are told', { FACTORY_STOP_GRACE_MS: '15000' }, 'FACTORY_STOP_GRACE_MS'],
  ['a lease that is over before the next look', { FACTORY_LEASE_MS: '1000' }, 'FACTORY_LEASE_MS'],
])('%s is refused by name', ([, changes, variable]) => {
  expect(() => readConfig({ ...GOOD, ...changes })).toThrow(variable)
})

test('drivers are configured when they are asked for', () => {
  const config = readConfig({ ...GOOD, FACTORY_DRIVERS: 'docker,kubernetes', FACTORY_DOCKER_NETWORK: 'crew' })
  expect(driversConfig(config, '/here')).toEqual({
    installation: 'hypercode',
    docker: { url: 'unix:///var/run/docker.sock', network: 'crew' },
    kubernetes: { namespace: 'hypercode' },
  })
})
