import path from 'node:path'
import type { Account } from './account.ts'
import type { Binaries } from './binaries.ts'
import { programEnv } from './binaries.ts'
import { writeFileAtomic } from './files.ts'
import { pingRedis } from './redis-wire.ts'
import type { StackSecrets } from './secrets.ts'
import type { ServerPlan } from './server-plan.ts'
import { fingerprintOf } from './server-plan.ts'

export interface RedisOptions {
  readonly dir: string
  readonly account: Account
  readonly binaries: Binaries
  readonly secrets: StackSecrets
  readonly durable: boolean
}

/** Redis (or Valkey) with an append-only file and a password; it refuses writes rather than evict when it is full. */
export function redisPlan({ dir, account, binaries, secrets, durable }: RedisOptions): ServerPlan {
  const home = path.join(dir, 'redis')
  return {
    name: 'redis',
    command: binaries.redis.path,
    env: programEnv(binaries.redis),
    cwd: home,
    args: () => ['redis.conf'],
    prepare: (port) => writeFileAtomic(path.join(home, 'redis.conf'), configuration(port, secrets, durable), account),
    probe: async (port) => await pingRedis(port, secrets.redis),
    stopSignals: [{ signal: 'SIGTERM', waitMs: 8_000 }],
    fingerprint: (port) => fingerprintOf(configuration(port, secrets, durable)),
  }
}

function configuration(port: number, secrets: StackSecrets, durable: boolean): string {
  const settings = {
    bind: '127.0.0.1',
    port,
    'protected-mode': 'yes',
    requirepass: secrets.redis,
    dir: '.', // the working directory, so that the path may hold anything
    appendonly: 'yes',
    appendfsync: durable ? 'everysec' : 'no',
    save: '""',
    maxmemory: '512mb',
    'maxmemory-policy': 'noeviction',
    'tcp-keepalive': 60,
    daemonize: 'no',
  }
  return `${Object.entries(settings)
    .map(([name, value]) => `${name} ${value}`)
    .join('\n')}\n`
}
