import { test } from '@hypercode/testkit'
import { describe, expect } from 'vitest'
import { check } from '../src/checker/check.ts'
import { buildWorld, id } from './checker-world.ts'

// Goal: the checker sees what is wrong in the streams. Method: real streams in which all is well, one thing broken by hand.

const hint = (name: string, seq: number, more: object = {}) => ({
  kind: 'mission',
  tenantId: id('ours'),
  missionId: id(name),
  seq,
  correlationId: name,
  ...more,
})
const ALL = [
  hint('running', 31),
  hint('done', 6, { ended: true }),
  hint('broken', 6),
  hint('resting', 3),
  hint('checked', 13),
  hint('undone', 19, { ended: true }),
  hint('ended', 5),
]
const BELL = [{ tenantId: id('ours'), queue: 'work' }]

const FAULTS: readonly [name: string, commands: (prefix: string) => string[][]][] = [
  ['S1 a consumer group, by which nothing reads', (p) => [['xgroup', 'create', `${p}:{s0}:bell`, 'workers', '0']]],
  [
    'S4 a stream is longer than its bound',
    (p) => Array.from({ length: 1300 }, () => ['xadd', `${p}:{s0}:bell`, '*', 'queues', '[]']),
  ],
  [
    'S5 a doorbell that is not one',
    (p) => [['xadd', `${p}:{s0}:bell`, '*', 'queues', JSON.stringify([{ ...BELL[0], input: 'x' }])]],
  ],
  ['S5 an entry that is no list of hints', (p) => [['xadd', `${p}:{s0}:events`, '*', 'payload', '{}']]],
  [
    'S5 a hint that carries something else than ids and numbers',
    (p) => [['xadd', `${p}:{s0}:events`, '*', 'hints', JSON.stringify([hint('done', 6, { output: 'secret' })])]],
  ],
  [
    'S7 a hint of something that is not in Postgres',
    (p) => [['xadd', `${p}:{s0}:events`, '*', 'hints', JSON.stringify([hint('done', 7)])]],
  ],
  ['S6 events that no hint told of', (p) => [['del', `${p}:{s0}:events`]]],
  ['S8 a key without the hash tag of its shard', (p) => [['set', `${p}:cache`, '1']]],
]

describe('streams', () => {
  for (const [name, commands] of [['', () => []] as const, ...FAULTS]) {
    test(name === '' ? 'all is well' : name, async ({ database, redis, redisUrl, keyPrefix, keys }) => {
      await buildWorld(database.directUrl)
      await redis.xadd(keys.events, '*', 'hints', JSON.stringify(ALL))
      await redis.xadd(keys.bell, '*', 'queues', JSON.stringify(BELL))
      for (const [command = '', ...args] of commands(keyPrefix)) await redis.call(command, ...args)
      const broken = await check({
        directUrl: database.directUrl,
        streams: { url: redisUrl, keyPrefix, complete: true },
      })
      expect(broken.map(({ invariant }) => invariant)).toEqual(name === '' ? [] : [name])
    })
  }
})
