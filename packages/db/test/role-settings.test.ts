import { randomBytes } from 'node:crypto'
import { migrate } from '@hypercode/db'
import { test as base, waitFor } from '@hypercode/testkit'
import pg from 'pg'
import { expect } from 'vitest'

const test = base
  .extend('owner', async ({ database }, { onCleanup }) => {
    const owner = new pg.Client(database.directUrl)
    await owner.connect()
    onCleanup(async () => await owner.end())
    return owner
  })
  /** A role of the test's own: that of the services belongs to all tests. */
  .extend('role', async ({ owner }, { onCleanup }) => {
    const role = `role_${randomBytes(8).toString('hex')}`
    await owner.query(`create role ${role} login password '${role}'`)
    onCleanup(async () => {
      await owner.query(`drop owned by ${role}`)
      await owner.query(`drop role ${role}`)
    })
    return role
  })

const BEFORE = { timeout: '0', scans: 'on', plans: 'auto' }
const AFTER = { timeout: '5s', scans: 'off', plans: 'force_generic_plan' }

/** A connection of the role, and whether it is open still. */
async function connectAs(role: string, directUrl: string) {
  const url = new URL(directUrl)
  url.username = role
  url.password = role
  const client = new pg.Client(url.href)
  let isOpen = true
  client.on('error', () => (isOpen = false))
  await client.connect()
  const ask = async (): Promise<unknown> =>
    (
      await client.query(
        `select current_setting('statement_timeout') as timeout, current_setting('enable_seqscan') as scans, current_setting('plan_cache_mode') as plans`,
      )
    ).rows[0]
  return { client, ask, isOpen: () => isOpen }
}

// Goal: no statement of a service runs without the role's time-outs, on whichever connection a pooler has open.
// Method: a connection that began before the first migration; one that begins after it; a second migration, which changes nothing.
test('a connection that began before its role had its settings is closed', async ({ database, role }) => {
  const early = await connectAs(role, database.directUrl)
  expect(await early.ask()).toEqual(BEFORE)
  await migrate({ directUrl: database.directUrl, appRole: role })
  await waitFor(() => !early.isOpen(), { what: 'the early connection to be closed' })
  const late = await connectAs(role, database.directUrl)
  expect(await late.ask()).toEqual(AFTER)
  await migrate({ directUrl: database.directUrl, appRole: role })
  expect(await late.ask(), 'nothing has changed, so nothing is closed').toEqual(AFTER)
  await late.client.end()
})

test('a transaction is not cut off: its connection is closed after it', async ({ database, role, owner }) => {
  const early = await connectAs(role, database.directUrl)
  await early.client.query('begin')
  const migrated = migrate({ directUrl: database.directUrl, appRole: role })
  await waitFor(
    async () =>
      (
        await owner.query(`select from pg_db_role_setting join pg_roles r on r.oid = setrole where rolname = $1`, [
          role,
        ])
      ).rowCount === 1,
    { what: 'the role to have its settings' },
  )
  expect(await early.ask()).toEqual(BEFORE)
  await early.client.query('commit')
  await migrated
  await waitFor(() => !early.isOpen(), { what: 'the early connection to be closed' })
})
