import { rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import type { ServerName } from '../src/index.ts'
import { startStack } from '../src/index.ts'
import { query, runtimeDir, serversIn, stackIn, temporaryFolder, withRedis, workersIn } from './helpers.ts'

// Goal: tests of others can break a server and bring it back where it was.
describe('a server', { timeout: 90_000 }, () => {
  test.each<ServerName>(['postgres', 'pgbouncer', 'redis'])(
    '%s comes back on its port after a SIGKILL',
    async (name) => {
      const dir = temporaryFolder()
      const stack = await stackIn(dir)
      await query(stack.directDatabaseUrl, 'create table kept (id int); grant insert, select on kept to hypercode_app')
      await query(stack.databaseUrl, 'insert into kept values (7)')
      await withRedis(stack.redisUrl, async (redis) => await redis.set('kept', 7))
      const server = stack.servers[name]
      const { pid, port } = server
      expect(await server.kill('SIGKILL')).toBe(true)
      expect(await server.waitGone(5_000)).toBe(true)
      expect([server.alive, await server.kill('SIGKILL')]).toEqual([false, false])
      await server.restart()
      expect([server.alive, server.port, server.pid === pid]).toEqual([true, port, false])
      expect(stack.pids[name]).toBe(server.pid)
      expect(await query(stack.databaseUrl, 'select id from kept')).toEqual([{ id: 7 }])
      expect(await withRedis(stack.redisUrl, async (redis) => await redis.get('kept'))).toBe('7')
      expect(serversIn(dir)).toEqual(['pgbouncer', 'postgres', 'redis-server'])
    },
  )

  test('that lives is stopped before it is started again', async () => {
    const dir = temporaryFolder()
    const stack = await stackIn(dir)
    await stack.servers.redis.restart()
    expect(serversIn(dir)).toEqual(['pgbouncer', 'postgres', 'redis-server'])
  })
})

// Goal: a start that cannot succeed says so at once, with the server's own words, and leaves nothing behind.
describe('a start that fails', { timeout: 90_000 }, () => {
  test('names the server and shows the end of its log', async () => {
    const dir = temporaryFolder()
    await (await stackIn(dir)).stop()
    rmSync(path.join(dir, 'postgres', 'global', 'pg_control'))
    const from = Date.now()
    await expect(startStack({ dir, runtimeDir, durable: false })).rejects.toThrow(
      /postgres ended by itself.*pg_control/s,
    )
    expect(Date.now() - from).toBeLessThan(10_000)
    expect([...workersIn(dir).values()]).toEqual([])
  })

  test('refuses data of another Postgres than the one that is here', async () => {
    const dir = temporaryFolder()
    await (await stackIn(dir)).stop()
    writeFileSync(path.join(dir, 'postgres', 'PG_VERSION'), '9\n')
    await expect(startStack({ dir, runtimeDir, durable: false })).rejects.toThrow(
      /is of Postgres 9, and this machine has/,
    )
    expect([...workersIn(dir).values()]).toEqual([])
  })

  test('refuses passwords that it cannot read', async () => {
    const dir = temporaryFolder()
    await (await stackIn(dir)).stop()
    writeFileSync(path.join(dir, 'secrets.json'), '{"owner":1}')
    await expect(startStack({ dir, runtimeDir, durable: false })).rejects.toThrow(
      /secrets\.json is not ours or damaged/,
    )
  })
})
