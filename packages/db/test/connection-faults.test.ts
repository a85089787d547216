/**
 * What a service sees when Postgres or PgBouncer are not there, each made for real on private servers. Every one of these must be told
 * apart from a fault of the statement, because the service then answers "try again" instead of "something failed".
 */
import { readFileSync } from 'node:fs'
import { inTransaction, isConnectionError, isRetryable, openDatabase } from '@hypercode/db'
import type { DatabaseHandle } from '@hypercode/db'
import {
  createFaultProxy,
  freePort,
  processTree,
  signalTree,
  startPrivateStack,
  waitFor,
} from '@hypercode/testkit/tools'
import type { Stack } from '@hypercode/testkit/tools'
import { sql } from 'kysely'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'

const SILENT = 'the database does not answer'

let stack: Stack
beforeAll(async () => {
  stack = await startPrivateStack()
})
afterAll(async () => await stack.stop())

interface Opened extends DatabaseHandle {
  readonly idleErrors: Error[]
}

/** Opens the database for one test; impatient, so that the tests are short. */
async function withDatabase(
  url: string,
  use: (handle: Opened) => Promise<void>,
  { queryTimeoutMs = 600, connectTimeoutMs = 400 } = {},
): Promise<void> {
  const idleErrors: Error[] = []
  const handle = openDatabase({
    url,
    poolMax: 2,
    applicationName: 'faults',
    connectTimeoutMs,
    queryTimeoutMs,
    onIdleError: (error) => idleErrors.push(error),
  })
  try {
    await use({ ...handle, idleErrors })
  } finally {
    await handle.close()
  }
}

/** Milliseconds since the call, as the silence of a server is measured: while this process gets no processor, none pass. */
function startClock(): () => number {
  let tenths = 0
  const timer = setInterval(() => (tenths += 1), 100)
  onTestFinished(() => clearInterval(timer))
  return () => tenths * 100
}

const isFrozen = (pid: number): boolean => /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))

const ask = async ({ db }: DatabaseHandle): Promise<unknown> => await sql`select 1 as one`.execute(db)

async function failureOf(work: Promise<unknown>): Promise<Error> {
  return await work.then(
    () => new Error('it did not fail'),
    (error: unknown) => error as Error,
  )
}

function expectWeather(error: Error): void {
  expect([error.message, isConnectionError(error), isRetryable(error)]).toEqual([error.message, true, true])
}

/** Postgres and PgBouncer may take a moment to find each other again. */
async function expectRecovery(handle: DatabaseHandle): Promise<void> {
  expect(await waitFor(async () => await ask(handle), { what: 'an answer', timeoutMs: 10_000 })).toMatchObject({
    rows: [{ one: 1 }],
  })
}

test('nobody listens on the port', async () => {
  const url = new URL(stack.databaseUrl)
  url.port = String(await freePort())
  await withDatabase(url.href, async (handle) => expectWeather(await failureOf(ask(handle))))
})

test('the host has no name', async () => {
  const url = new URL(stack.databaseUrl)
  url.hostname = 'no-such-host.invalid'
  await withDatabase(url.href, async (handle) => expectWeather(await failureOf(ask(handle))))
})

test('PgBouncer is killed: while it is asked, while nobody asks, and while it is away', async () => {
  await withDatabase(stack.databaseUrl, async (handle) => {
    await Promise.all([ask(handle), sql`select pg_sleep(0.1)`.execute(handle.db)])
    expect(handle.stats().total).toBe(2)
    const asked = failureOf(sql`select pg_sleep(0.5)`.execute(handle.db))
    await waitFor(() => handle.stats().idle === 1, { what: 'a running query' })
    await stack.servers.pgbouncer.kill('SIGKILL')
    expectWeather(await asked)
    await waitFor(() => handle.idleErrors.length > 0, { what: 'word of the idle connection' })
    expectWeather(await failureOf(ask(handle)))
    await stack.servers.pgbouncer.restart()
    await expectRecovery(handle)
  })
})

test('Postgres is killed: while it is asked, and while it is away', async () => {
  await withDatabase(stack.databaseUrl, async (handle) => {
    const asked = failureOf(sql`select pg_sleep(0.5)`.execute(handle.db))
    await waitFor(() => handle.stats().total === 1, { what: 'a running query' })
    await stack.servers.postgres.kill('SIGKILL')
    expectWeather(await asked)
    expectWeather(await failureOf(ask(handle)))
    await stack.servers.postgres.restart()
    await expectRecovery(handle)
  })
})

test('Postgres shuts down in order, as for an update', async () => {
  await withDatabase(stack.directDatabaseUrl, async (handle) => {
    const asked = failureOf(sql`select pg_sleep(0.5)`.execute(handle.db))
    await waitFor(() => handle.stats().total === 1, { what: 'a running query' })
    await stack.servers.postgres.kill('SIGINT')
    expectWeather(await asked)
    await stack.servers.postgres.restart()
    await expectRecovery(handle)
  })
})

test('an administrator ends the session', async () => {
  await withDatabase(stack.directDatabaseUrl, async (handle) => {
    const asked = failureOf(sql`select pg_sleep(0.5)`.execute(handle.db))
    const end = async (): Promise<boolean> => {
      const { rows } = await sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where state = 'active' and query like '%pg_sleep%' and pid <> pg_backend_pid()`.execute(handle.db)
      return rows.length === 1
    }
    await waitFor(end, { what: 'a session to end', everyMs: 5 })
    expectWeather(await asked)
  })
})

test('PgBouncer is frozen: a query and a new connection end by themselves, in bounded time', async () => {
  await withDatabase(stack.databaseUrl, async (handle) => {
    await ask(handle)
    await stack.servers.pgbouncer.kill('SIGSTOP')
    try {
      const from = performance.now()
      expectWeather(await failureOf(ask(handle)))
      expectWeather(await failureOf(ask(handle)))
      expect(performance.now() - from).toBeLessThan(3000)
    } finally {
      await stack.servers.pgbouncer.kill('SIGCONT')
    }
    await expectRecovery(handle)
  })
})

test('the network swallows everything', async () => {
  const proxy = await createFaultProxy(stack.databaseUrl)
  await withDatabase(proxy.through(stack.databaseUrl), async (handle) => {
    await ask(handle)
    await proxy.setMode('black-hole')
    expectWeather(await failureOf(ask(handle)))
    expectWeather(await failureOf(ask(handle)))
    await proxy.setMode('pass')
    await expectRecovery(handle)
  })
  await proxy.stop()
})

// Goal: a connection whose other end is gone without a word costs one time-out, and is not used again.
// Method: silence the open connections of a full pool for ever and let new ones pass.
test('connections go silent for ever: each is given up after its first time-out', async () => {
  const proxy = await createFaultProxy(stack.databaseUrl)
  await withDatabase(
    proxy.through(stack.databaseUrl),
    async (handle) => {
      await Promise.all([ask(handle), ask(handle)])
      // And that which asks whether the server is there.
      expect(proxy.strand()).toBeGreaterThanOrEqual(2)
      const [single, transaction] = [
        failureOf(ask(handle)),
        failureOf(handle.db.transaction().execute(async (trx) => await sql`select 1`.execute(trx))),
      ]
      expectWeather(await single)
      expectWeather(await transaction)
      const from = performance.now()
      for (let turn = 0; turn < 4; turn += 1) expect(await ask(handle)).toMatchObject({ rows: [{ one: 1 }] })
      // Using one of them again would cost a whole time-out, which is long enough to be told from a busy machine.
      expect(performance.now() - from).toBeLessThan(1800)
    },
    { queryTimeoutMs: 2000, connectTimeoutMs: 2000 },
  )
  await proxy.stop()
})

// Goal: the silence in the middle of a transaction costs one time-out, not a second one for the rollback.
test('a connection goes silent in a transaction', async () => {
  const proxy = await createFaultProxy(stack.databaseUrl)
  await withDatabase(
    proxy.through(stack.databaseUrl),
    async (handle) => {
      const from = performance.now()
      const error = await failureOf(
        handle.db.transaction().execute(async (trx) => {
          await sql`select 1`.execute(trx)
          proxy.strand()
          await sql`select 2`.execute(trx)
        }),
      )
      expectWeather(error)
      expect(performance.now() - from).toBeLessThan(3800)
      await expectRecovery(handle)
    },
    { queryTimeoutMs: 2000, connectTimeoutMs: 2000 },
  )
  await proxy.stop()
})

// Goal: the answer that came too late for one query is never taken for the answer of the next.
test('a late answer is nobody else’s', async () => {
  await withDatabase(stack.databaseUrl, async (handle) => {
    const late = failureOf(sql`select pg_sleep(0.7), 'late' as one`.execute(handle.db))
    expectWeather(await late)
    const answers = await Promise.all([1, 2, 3, 4].map(async () => await ask(handle)))
    for (const answer of answers) expect(answer).toMatchObject({ rows: [{ one: 1 }] })
  })
})

// Goal: a frozen Postgres behind a living PgBouncer costs nobody more than two seconds, whatever the limit of a statement is.
// Method: one query and one transaction are under way and more callers wait for connections than there are; then new ones come.
test('Postgres is frozen: all who wait are told within 2 s, who comes later at once, and it is found again', async () => {
  const use = async (handle: Opened): Promise<void> => {
    await Promise.all([ask(handle), sql`select pg_sleep(0.1)`.execute(handle.db)])
    const { pid = 0 } = stack.servers.postgres
    const transaction = failureOf(
      handle.db.transaction().execute(async (trx) => {
        await sql`select 1`.execute(trx)
        signalTree(pid, 'SIGSTOP')
        await waitFor(() => processTree(pid).every(isFrozen), { what: 'a frozen Postgres' })
        await sql`select 2`.execute(trx)
      }),
    )
    try {
      await waitFor(() => processTree(pid).every(isFrozen), { what: 'a frozen Postgres' })
      const passed = startClock()
      const errors = await Promise.all([transaction, ...[1, 2, 3, 4].map(async () => await failureOf(ask(handle)))])
      expect(passed()).toBeLessThan(2000)
      for (const error of errors) expect([error.message, isConnectionError(error)]).toEqual([SILENT, true])
      const later = passed()
      expect((await failureOf(ask(handle))).message).toBe(SILENT)
      expect((await failureOf(inTransaction(handle.db, async (trx) => await sql`select 1`.execute(trx)))).message).toBe(
        SILENT,
      )
      expect(passed() - later).toBeLessThanOrEqual(100)
    } finally {
      signalTree(pid, 'SIGCONT')
    }
    await expectRecovery(handle)
    expect(handle.stats().waiting).toBe(0)
  }
  await withDatabase(stack.databaseUrl, use, { queryTimeoutMs: 6000, connectTimeoutMs: 6000 })
})

// Goal: slow is not silent.
test('a statement that takes long while nothing else is asked is waited for', async () => {
  const use = async (handle: Opened): Promise<void> => {
    const { rows } = await sql`select 'late' as one from pg_sleep(2.5)`.execute(handle.db)
    expect(rows).toEqual([{ one: 'late' }])
  }
  await withDatabase(stack.databaseUrl, use, { queryTimeoutMs: 6000 })
})

test('every connection of the pool is taken', async () => {
  const use = async (handle: Opened): Promise<void> => {
    const done = Promise.withResolvers<void>()
    let taken = 0
    const hold = async (): Promise<void> => {
      taken += 1
      await done.promise
    }
    const holders = [1, 2].map(async () => await handle.db.connection().execute(hold))
    await waitFor(() => taken === 2, { what: 'a full pool' })
    const third = failureOf(ask(handle))
    expect(handle.stats()).toEqual({ total: 2, idle: 0, waiting: 1 })
    expectWeather(await third)
    done.resolve()
    await Promise.all(holders)
    expect(handle.stats()).toEqual({ total: 2, idle: 2, waiting: 0 })
  }
  await withDatabase(stack.databaseUrl, use, { queryTimeoutMs: 3000 })
})

test('a wrong statement, a missing table and a bug are no weather', async () => {
  await withDatabase(stack.databaseUrl, async (handle) => {
    const statements = ['selec 1', 'select * from nothing', 'select 1/0', `select 'x'::int`, `select '{'::jsonb`]
    for (const statement of statements) {
      const error = await failureOf(sql.raw(statement).execute(handle.db))
      expect([statement, isConnectionError(error), isRetryable(error)]).toEqual([statement, false, false])
    }
  })
  for (const error of [new TypeError('x is not a function'), undefined, null, 'text', 7, { code: 5 }])
    expect([isConnectionError(error), isRetryable(error)]).toEqual([false, false])
})
