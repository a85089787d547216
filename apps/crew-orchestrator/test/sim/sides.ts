import { newId } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { sql } from 'kysely'
import { Database } from '../../sim/database/database.ts'
import { connect } from '../../sim/database/driver.ts'
import type { InstanceRow, TableName } from '../../sim/database/rows.ts'
import { createRandom } from '../../sim/random.ts'
import { createScheduler } from '../../sim/scheduler.ts'
import type { registerInstance } from '../harness.ts'

type Row = Record<string, unknown>
export interface Agent {
  subject: string
  skills: readonly string[]
  id: string
  incarnation: number
}

/** A database that the engine works on, with what histories need beside it. */
export interface Side {
  readonly db: Db
  readonly tenantId: string
  /** Does something to its end. */
  run<T>(work: () => Promise<T>): Promise<T>
  /** Its clock stands still between two calls, and goes on by so much in one. */
  pass(ms: number): Promise<void>
  register(subject: string, skills: string[], slots: number): Promise<Agent>
  /** A new process of the instance. */
  replace(agent: Agent): Promise<void>
  /** It takes no more work. */
  drain(agent: Agent): Promise<void>
  rows(table: TableName): Promise<Row[]>
  /** Everything in the outbox is overdue, the oldest most. */
  ripen(): Promise<void>
}

/** Instants, moved back together: the same as a clock that goes on. */
const INSTANTS: Readonly<Record<string, readonly string[]>> = {
  tasks: [
    'lease_expires_at',
    'attempt_deadline_at',
    'progress_deadline_at',
    'queue_deadline_at',
    'total_deadline_at',
    'available_at',
    'started_at',
    'ended_at',
  ],
  missions: ['cancel_requested_at', 'deadline_at', 'started_at', 'ended_at'],
  waits: ['fire_at', 'created_at', 'fired_at'],
  approvals: ['deadline_at', 'escalate_at', 'escalated_at', 'created_at', 'decided_at'],
  agent_instances: ['lease_expires_at'],
}

const LEASE_MS = 600_000

export function openRealSide(db: Db, tenantId: string, register: typeof registerInstance): Side {
  let seenMs = performance.now()
  return {
    db,
    tenantId,
    run: async (work) => await work(),
    async pass(ms) {
      // What the steps themselves have taken is taken back.
      const now = performance.now()
      const shift = ms - (now - seenMs)
      seenMs = now
      for (const [table, columns] of Object.entries(INSTANTS)) {
        const moved = columns.map((column) => `${column} = ${column} - ${shift} * interval '1 millisecond'`)
        await sql.raw(`update ${table} set ${moved.join(', ')} where tenant_id = '${tenantId}'`).execute(db)
      }
    },
    async register(subject, skills, slots) {
      return { subject, skills, ...(await register(db, tenantId, subject, skills, slots)) }
    },
    async replace(agent) {
      agent.incarnation += 1
      await sql`update agent_instances set incarnation = ${agent.incarnation} where id = ${agent.id}`.execute(db)
    },
    async drain({ id }) {
      await sql`update agent_instances set lifecycle = 'draining' where id = ${id}`.execute(db)
    },
    async ripen() {
      await sql`update outbox set next_try_at = now() - interval '1 hour' + id * interval '1 millisecond'`.execute(db)
    },
    async rows(table) {
      return (await sql<Row>`select * from ${sql.table(table)}`.execute(db)).rows
    },
  }
}

export function openModelSide(tenantId: string): Side {
  const scheduler = createScheduler(createRandom(1), false)
  const failures: string[] = []
  const database = new Database({ scheduler, onCommit: () => undefined, onDeadlock: (what) => failures.push(what) })
  const travel = async (label: string): Promise<void> => scheduler.wait(0.1, label)
  const db = connect(database, { name: 'model', travel, opened: () => undefined })
  const put = (instance: InstanceRow): void => {
    const session = database.begin('registry')
    session.put('agent_instances', instance)
    session.commit()
  }
  return {
    db,
    tenantId,
    async run(work) {
      let isDone = false
      const result = work().finally(() => {
        isDone = true
      })
      // Both from the start, so that a failure of the work is heard at once; the steps end with it.
      const [done] = await Promise.all([result, stepAll()])
      return done

      async function stepAll(): Promise<void> {
        while (!isDone) if (!(await scheduler.step())) await new Promise((resolve) => setImmediate(resolve))
      }
    },
    async pass(ms) {
      scheduler.at(ms, 'time passes', () => undefined)
      while (await scheduler.step());
    },
    async register(subject, skills, slots) {
      const id = newId()
      const lease_expires_at = scheduler.now + LEASE_MS
      put({
        id,
        subject,
        skills,
        slots,
        tenant_id: tenantId,
        lifecycle: 'ready',
        incarnation: 1,
        heartbeat_seq: 0,
        lease_expires_at,
      })
      return { subject, skills, id, incarnation: 1 }
    },
    async replace(agent) {
      agent.incarnation += 1
      put({ ...(database.tables.agent_instances.get(agent.id) as InstanceRow), incarnation: agent.incarnation })
    },
    async drain({ id }) {
      put({ ...(database.tables.agent_instances.get(id) as InstanceRow), lifecycle: 'draining' })
    },
    async ripen() {
      const session = database.begin('ripens')
      for (const row of session.rows('outbox'))
        session.put('outbox', { ...row, next_try_at: Number(row.id) - 3_600_000 })
      session.commit()
    },
    rows: async (table) => [...database.tables[table].values()] as object[] as Row[],
  }
}
