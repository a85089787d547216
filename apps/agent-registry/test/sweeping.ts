/** What tests of sweeps have in common: a sweeper whose clock the test moves, and instances to look at. */
import { newId } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { createLogger, createMetrics } from '@hypercode/telemetry'
import { sql } from 'kysely'
import { missedAfterMs } from '../src/domain/health.ts'
import { createSweeper } from '../src/jobs/sweeper.ts'
import type { Sweeper } from '../src/jobs/sweeper.ts'
import { registryMetrics } from '../src/metrics.ts'
import { DEREGISTER_MS, HEARTBEAT_MS, LEASE_MS } from './registry.ts'

interface TestSweeper extends Sweeper {
  /** Lets the clock of the process go on. */
  wait(ms: number): void
  metric(name: string): Promise<string[]>
}

/** A sweeper with a clock of its own that has the brake of the start behind it. */
export async function sweeperOf(db: Db): Promise<TestSweeper> {
  let nowMs = 0
  const metrics = createMetrics('agent-registry', { processMetrics: false })
  const sweeper = createSweeper({
    db,
    publish: () => undefined,
    log: createLogger({ service: 'agent-registry', level: 'silent' }),
    metrics: registryMetrics(metrics),
    leaseMs: LEASE_MS,
    limits: { missedAfterMs: missedAfterMs(HEARTBEAT_MS), deregisterAfterMs: DEREGISTER_MS },
    clock: () => nowMs,
  })
  const wait = (ms: number): void => void (nowMs += ms)
  for (let turn = 0; turn < LEASE_MS / 1000 + 1; turn += 1) {
    await sweeper.turn()
    wait(1000)
  }
  return {
    turn: async (signal) => await sweeper.turn(signal),
    get brakeHolds() {
      return sweeper.brakeHolds
    },
    wait,
    metric: async (name) => (await metrics.render()).split('\n').filter((line) => line.startsWith(name)),
  }
}

/** An agent with so many instances that have just beaten. */
export async function makeInstances(db: Db, tenantId: string, count: number): Promise<string[]> {
  const agentId = newId()
  await sql`insert into agents (id, tenant_id, name, version, skills, skill_ids)
    values (${agentId}, ${tenantId}, ${`crowd-${agentId}`}, '1', '[]', '{}')`.execute(db)
  const ids = Array.from({ length: count }, newId)
  await sql`insert into agent_instances (id, tenant_id, agent_id, subject, version, skills, slots, lifecycle, health, incarnation,
      heartbeat_seq, registered_at, last_heartbeat_at, lease_expires_at)
    select id, ${tenantId}, ${agentId}, id::text, '1', '{}', 1, 'ready', 'passing', 1, 1, now() - interval '1 hour', now(),
      now() + ${LEASE_MS} * interval '1 millisecond' from unnest(${ids}::uuid[]) as i (id)`.execute(db)
  return ids
}

export async function healthOf(db: Db, ids: readonly string[]): Promise<string[]> {
  const rows = await db.selectFrom('agent_instances').select(['health', 'lifecycle']).where('id', 'in', ids).execute()
  return [...new Set(rows.map((row) => `${row.health} ${row.lifecycle}`))].sort()
}
