import { mkdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { connect } from 'node:net'
import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { query, serversIn, stackIn, temporaryFolder, withRedis, workersIn } from './helpers.ts'

const ALL = ['pgbouncer', 'postgres', 'redis-server']

// Goal: the three servers are what they claim to be: pooled, private, durable where asked, not root.
// Method: one stack per test, asked through the drivers that the services use.
describe('a running stack', { timeout: 90_000 }, () => {
  test('answers the app through PgBouncer and the owner directly', async () => {
    const stack = await stackIn(temporaryFolder())
    const [app] = await query(stack.databaseUrl, 'select current_user, current_database()')
    expect(app).toEqual({ current_user: 'hypercode_app', current_database: 'hypercode' })
    const [owner] = await query(
      stack.directDatabaseUrl,
      "select current_user, current_setting('is_superuser') as super",
    )
    expect(owner).toEqual({ current_user: 'hypercode_owner', super: 'on' })
    const [role] = await query(
      stack.directDatabaseUrl,
      "select rolsuper, rolcreatedb, rolcreaterole from pg_roles where rolname = 'hypercode_app'",
    )
    expect(role).toEqual({ rolsuper: false, rolcreatedb: false, rolcreaterole: false })
  })

  test('pools by transaction: fifty clients share the few connections it may open', async () => {
    const stack = await stackIn(temporaryFolder(), { poolSize: 3 })
    const clients = await Promise.all(
      Array.from({ length: 50 }, async () => {
        const client = new pg.Client({ connectionString: stack.databaseUrl })
        await client.connect()
        return client
      }),
    )
    const pids = await Promise.all(
      clients.map(
        async (client) =>
          (await client.query<{ pid: number }>('select pg_backend_pid() as pid, pg_sleep(0.01)')).rows[0]?.pid,
      ),
    )
    const config = await query(stack.pgbouncerAdminUrl, 'show config')
    await Promise.all(clients.map(async (client) => await client.end()))
    expect(new Set(pids).size).toBeLessThanOrEqual(3)
    const value = (key: string): unknown => config.find((row) => row['key'] === key)?.['value']
    expect([
      value('pool_mode'),
      value('server_login_retry'),
      value('query_wait_timeout'),
      value('server_connect_timeout'),
    ]).toEqual(['transaction', '1', '5', '3'])
  })

  test('routes other databases only when asked to', async () => {
    const closed = await stackIn(temporaryFolder())
    await query(closed.directDatabaseUrl, 'create database other')
    await expect(query(closed.databaseUrl.replace(/hypercode$/, 'other'), 'select 1')).rejects.toThrow(
      /no such database/,
    )

    const open = await stackIn(temporaryFolder(), { anyDatabase: true })
    await query(open.directDatabaseUrl, 'create database other')
    const rows = await query(open.databaseUrl.replace(/hypercode$/, 'other'), 'select current_database()')
    expect(rows).toEqual([{ current_database: 'other' }])
  })

  test('keeps Redis on an append-only file, without eviction, behind a password', async () => {
    const stack = await stackIn(temporaryFolder(), { durable: true })
    const settings = await withRedis(stack.redisUrl, async (redis) => {
      const read = async (name: string): Promise<unknown> => ((await redis.config('GET', name)) as unknown[])[1]
      return await Promise.all(['appendonly', 'appendfsync', 'maxmemory-policy', 'save'].map(read))
    })
    expect(settings).toEqual(['yes', 'everysec', 'noeviction', ''])
    const anonymous = `redis://127.0.0.1:${stack.ports.redis}`
    await expect(withRedis(anonymous, async (redis) => await redis.set('a', 'b'))).rejects.toThrow(/NOAUTH/)
  })

  test('turns the waiting for the disk off only when it may lose data', async () => {
    const sql = "select current_setting('fsync') as fsync, current_setting('full_page_writes') as pages"
    const durable = await stackIn(temporaryFolder(), { durable: true })
    expect(await query(durable.directDatabaseUrl, sql)).toEqual([{ fsync: 'on', pages: 'on' }])
    const forgetful = await stackIn(temporaryFolder(), { durable: false })
    expect(await query(forgetful.directDatabaseUrl, sql)).toEqual([{ fsync: 'off', pages: 'off' }])
  })

  test('never runs as root, and its secrets are for their owner only', async () => {
    const dir = temporaryFolder()
    await stackIn(dir)
    const workers = [...workersIn(dir).values()]
    expect(workers.length).toBeGreaterThanOrEqual(3)
    expect(workers.filter(({ uid }) => uid === 0)).toEqual([])
    for (const file of [
      'secrets.json',
      'servers.json',
      'pgbouncer/userlist.txt',
      'redis/redis.conf',
      'logs/postgres.log',
    ]) {
      expect([file, statSync(path.join(dir, file)).mode & 0o077]).toEqual([file, 0])
    }
  })

  test('is reached over the loopback interface only', async () => {
    const stack = await stackIn(temporaryFolder())
    const [row] = await query(
      stack.directDatabaseUrl,
      "select current_setting('listen_addresses') as tcp, current_setting('unix_socket_directories') as sockets",
    )
    expect(row).toEqual({ tcp: '127.0.0.1', sockets: '' })
    expect(Object.values(stack.ports).every((port) => port >= 20_000 && port < 32_768)).toBe(true)
  })

  test('works in a folder whose path holds spaces and quotes', async () => {
    const dir = path.join(temporaryFolder(), `a "folder" of o'ther % kinds`)
    mkdirSync(dir)
    const stack = await stackIn(dir)
    expect(await query(stack.databaseUrl, 'select 1 as one')).toEqual([{ one: 1 }])
    expect(await withRedis(stack.redisUrl, async (redis) => await redis.ping())).toBe('PONG')
    await stack.stop()
    expect(serversIn(dir)).toEqual([])
  })
})

// Goal: stopping leaves no process, no listener and no lost data.
describe('stop', { timeout: 90_000 }, () => {
  test('leaves nothing running and can be called twice', async () => {
    const dir = temporaryFolder()
    const stack = await stackIn(dir)
    expect(serversIn(dir)).toEqual(ALL)
    await Promise.all([stack.stop(), stack.stop()])
    expect([...workersIn(dir).values()]).toEqual([])
    const refused = await Promise.all(Object.values(stack.ports).map(isRefused))
    expect(refused).toEqual([true, true, true])
  })

  test('keeps data, passwords and ports for the next start', async () => {
    const dir = temporaryFolder()
    const first = await stackIn(dir)
    await query(
      first.directDatabaseUrl,
      'create table kept as select 42 as answer; grant select on kept to hypercode_app',
    )
    await withRedis(first.redisUrl, async (redis) => await redis.set('kept', 'yes'))
    await first.stop()
    const second = await stackIn(dir)
    expect(second.databaseUrl).toBe(first.databaseUrl)
    expect(second.reattached).toEqual([])
    expect(await query(second.databaseUrl, 'select answer from kept')).toEqual([{ answer: 42 }])
    expect(await withRedis(second.redisUrl, async (redis) => await redis.get('kept'))).toBe('yes')
  })

  test('ends a frozen server and one with a client in the middle of a transaction', async () => {
    const dir = temporaryFolder()
    const stack = await stackIn(dir)
    const client = new pg.Client({ connectionString: stack.databaseUrl })
    client.on('error', () => undefined) // the point of the test is that it is cut off
    await client.connect()
    await client.query('begin')
    await client.query('select 1')
    await stack.servers.redis.kill('SIGSTOP')
    await stack.stop()
    expect([...workersIn(dir).values()]).toEqual([])
  })
})

async function isRefused(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(false)
    })
    socket.once('error', () => resolve(true))
  })
}
