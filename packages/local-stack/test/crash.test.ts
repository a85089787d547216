import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { identify, isAlive } from '../src/index.ts'
import {
  killStarter,
  query,
  serversIn,
  stackIn,
  starterIn,
  temporaryFolder,
  until,
  upOf,
  withRedis,
  workersIn,
} from './helpers.ts'

const ALL = ['pgbouncer', 'postgres', 'redis-server']

// Goal: whenever a starter dies, the next one ends up with exactly one healthy server of each kind on the old data.
// Method: starters are processes of their own and are ended by SIGKILL; /proc counts the servers.
describe('after a SIGKILL of the starter', { timeout: 90_000 }, () => {
  test('the next start uses the servers that live', async () => {
    const dir = temporaryFolder()
    const starter = starterIn(dir)
    const { pids, ports } = await upOf(starter)
    await killStarter(starter)
    expect(Object.values(pids).map((pid) => identify(pid) !== undefined)).toEqual([true, true, true])

    const stack = await stackIn(dir)
    expect(stack.reattached.toSorted()).toEqual(['pgbouncer', 'postgres', 'redis'])
    expect([stack.pids, stack.ports]).toEqual([pids, ports])
    expect(await query(stack.databaseUrl, 'select 1 as one')).toEqual([{ one: 1 }])
    await stack.stop()
    expect([...workersIn(dir).values()]).toEqual([])
  })

  test('a server that died with it is started again, and one that hangs is replaced', async () => {
    const dir = temporaryFolder()
    const starter = starterIn(dir)
    const { pids } = await upOf(starter)
    process.kill(pids.redis, 'SIGSTOP')
    process.kill(pids.pgbouncer, 'SIGKILL')
    await killStarter(starter)

    const stack = await stackIn(dir)
    expect(stack.reattached).toEqual(['postgres'])
    expect(stack.pids.redis).not.toBe(pids.redis)
    expect(serversIn(dir)).toEqual(ALL)
    expect(await withRedis(stack.redisUrl, async (redis) => await redis.ping())).toBe('PONG')
  })

  test('servers that were started for other options are replaced', async () => {
    const dir = temporaryFolder()
    const starter = starterIn(dir, { poolSize: 5 })
    await upOf(starter)
    await killStarter(starter)
    const stack = await stackIn(dir, { poolSize: 7 })
    expect(stack.reattached.toSorted()).toEqual(['postgres', 'redis'])
    const config = await query(stack.pgbouncerAdminUrl, 'show config')
    expect(config.find((row) => row['key'] === 'default_pool_size')?.['value']).toBe('7')
    expect(serversIn(dir)).toEqual(ALL)
  })

  test('servers that no record names are found and ended', async () => {
    const dir = temporaryFolder()
    const starter = starterIn(dir)
    const { pids } = await upOf(starter)
    await killStarter(starter)
    rmSync(path.join(dir, 'servers.json'))
    const stack = await stackIn(dir)
    expect(stack.reattached).toEqual([])
    expect(Object.values(pids).map((pid) => identify(pid))).toEqual([undefined, undefined, undefined])
    expect(serversIn(dir)).toEqual(ALL)
  })

  test.each([20, 90, 200, 350, 500, 700, 900])('even %i ms into its first start', async (afterMs) => {
    const dir = temporaryFolder()
    const starter = starterIn(dir)
    await new Promise((resolve) => setTimeout(resolve, afterMs))
    await killStarter(starter)
    const stack = await stackIn(dir)
    expect(await query(stack.databaseUrl, 'select current_user')).toEqual([{ current_user: 'hypercode_app' }])
    expect(await withRedis(stack.redisUrl, async (redis) => await redis.ping())).toBe('PONG')
    expect(serversIn(dir)).toEqual(ALL)
  })

  test('a process that got the number of a dead server is neither used nor signalled', async () => {
    const dir = temporaryFolder()
    const first = await stackIn(dir)
    await first.stop()
    const file = path.join(dir, 'servers.json')
    const records = JSON.parse(readFileSync(file, 'utf8')) as Record<string, object>
    const bystander = starterIn(temporaryFolder())
    await upOf(bystander)
    const pid = bystander.child.pid ?? 0
    for (const name of Object.keys(records)) {
      records[name] = { ...records[name], process: { pid, startTime: 'of another process' } }
    }
    writeFileSync(file, JSON.stringify(records))
    const stack = await stackIn(dir)
    expect(stack.reattached).toEqual([])
    await stack.stop()
    expect(identify(pid)).toBeDefined()
  })

  test('an ephemeral stack goes away by itself, folder and all', async () => {
    const dir = path.join(temporaryFolder(), 'ephemeral')
    const starter = starterIn(dir, { ephemeral: true })
    const { pids } = await upOf(starter)
    const servers = Object.values(pids).map((pid) => identify(pid))
    expect(servers.every((identity) => identity !== undefined)).toBe(true)
    await killStarter(starter)
    await until(() => !existsSync(dir), 15_000)
    expect(servers.filter((identity) => identity !== undefined && isAlive(identity))).toEqual([])
  })
})

// Goal: a folder has one owner at a time, whoever comes and however they come.
describe('several starters', { timeout: 90_000 }, () => {
  test('at once: one gets the folder, the others are told who has it', async () => {
    const dir = temporaryFolder()
    const starters = Array.from({ length: 4 }, () => starterIn(dir))
    const outcomes = await Promise.all(starters.map(async ({ outcome }) => await outcome))
    const winner = starters.find((_, index) => !(outcomes[index] instanceof Error))
    const refusals = outcomes.filter((outcome) => outcome instanceof Error)
    expect(refusals.map(({ message }) => message.includes(`in use by process ${winner?.child.pid}`))).toEqual([
      true,
      true,
      true,
    ])
    expect(serversIn(dir)).toEqual(ALL)
  })

  test('that are killed and started in turn never run two servers on the same files', async () => {
    const dir = temporaryFolder()
    for (let round = 0; round < 4; round += 1) {
      const pair = [starterIn(dir), starterIn(dir)]
      const first = await Promise.race(pair.map(async ({ outcome }) => await outcome))
      // Who is told before the other one says that it is up is told of that one, and of no owner of an earlier round.
      const either = pair.map(({ child }) => child.pid).join('|')
      if (first instanceof Error) expect(first.message).toMatch(new RegExp(`in use by process (${either}):`))
      for (const starter of pair) await killStarter(starter)
      const names = serversIn(dir)
      expect(names).toEqual([...new Set(names)])
    }
    await stackIn(dir)
    expect(serversIn(dir)).toEqual(ALL)
  })

  test('one after the other: the second waits for the first to stop', async () => {
    const dir = temporaryFolder()
    const first = await stackIn(dir)
    const stopping = first.stop()
    const second = await stackIn(dir)
    await stopping
    expect(second.reattached).toEqual([])
    expect(serversIn(dir)).toEqual(ALL)
  })
})
