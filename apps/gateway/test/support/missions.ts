import { newId } from '@hypercode/contracts'
import type { EventName } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { addToOutbox, createPublisher } from '@hypercode/events'
import type { Hint, Keys } from '@hypercode/events'
import type { Redis } from 'ioredis'
import { sql } from 'kysely'

export interface TestMission {
  readonly id: string
  readonly tenantId: string
}

/** A running mission without events. */
export async function createMission(db: Db, tenantId: string): Promise<TestMission> {
  const id = newId()
  await db
    .insertInto('missions')
    .values({
      id,
      tenant_id: tenantId,
      crew: 'test',
      state: 'running',
      input: 'null',
      priority: 0,
      labels: '{}',
      total_tasks: 1,
      open_tasks: 1,
      on_task_failure: 'fail',
      correlation_id: `corr-${id}`,
      created_by: 'test',
      event_seq: 0,
    } as never)
    .execute()
  return { id, tenantId }
}

const ENDS: Readonly<Record<string, string>> = {
  'mission.completed': 'completed',
  'mission.failed': 'failed',
  'mission.canceled': 'canceled',
}

/** Adds events as the orchestrator does: numbers under the row lock, the hint in the outbox; answers the row to publish. */
export async function addMissionEvents(
  db: Db,
  mission: TestMission,
  types: readonly EventName[],
  body: Record<string, unknown> = {},
): Promise<{ id: number; hints: Hint[] }> {
  return await db.transaction().execute(async (trx) => {
    const end = types.map((type) => ENDS[type]).find((state) => state !== undefined)
    const { event_seq } = await trx
      .updateTable('missions')
      .set({
        event_seq: sql`event_seq + ${types.length}`,
        ...(end !== undefined && { state: end as 'completed', open_tasks: 0, ended_at: sql<Date>`now()` }),
      })
      .where('id', '=', mission.id)
      .returning('event_seq')
      .executeTakeFirstOrThrow()
    const first = event_seq - types.length + 1
    await trx
      .insertInto('mission_events')
      .values(
        types.map((type, index) => ({
          mission_id: mission.id,
          tenant_id: mission.tenantId,
          seq: first + index,
          type,
          task_id: null,
          body: JSON.stringify({ ...body, n: first + index }),
        })),
      )
      .execute()
    const hint = { kind: 'mission' as const, tenantId: mission.tenantId, missionId: mission.id, seq: event_seq }
    return await addToOutbox(trx, [{ ...hint, correlationId: 'c', ...(end !== undefined && { ended: true as const }) }])
  })
}

/** Adds one event of the tenant's agents. */
export async function addAgentEvent(db: Db, tenantId: string, type: EventName): Promise<{ id: number; hints: Hint[] }> {
  return await db.transaction().execute(async (trx) => {
    const head = await sql<{ seq: number }>`
      insert into agent_event_heads (tenant_id, seq) values (${tenantId}, 1)
      on conflict (tenant_id) do update set seq = agent_event_heads.seq + 1 returning seq`.execute(trx)
    const seq = head.rows[0]?.seq ?? 0
    await trx
      .insertInto('agent_events')
      .values({ tenant_id: tenantId, seq, type, agent_id: newId(), instance_id: newId(), body: '{"reason":"test"}' })
      .execute()
    return await addToOutbox(trx, [{ kind: 'agents', tenantId, seq }])
  })
}

/** Sends the hint of a committed row, as the orchestrator does right after its commit. */
export function hintSender(db: Db, redis: Redis, keys: Keys): (row: { id: number; hints: Hint[] }) => Promise<void> {
  const publisher = createPublisher({ db, redis, keys, onFailure: () => undefined })
  return async (row) => {
    publisher.publishSoon(row)
    await publisher.idle()
  }
}
