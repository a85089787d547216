import type { Db } from '@hypercode/db'
import { sql } from 'kysely'

const TASKS_A_MISSION = 4
const OLD = `tasks t join missions m on m.id = t.mission_id and m.crew = 'history'`

/** Fills the tables with so many ended tasks of a tenant, with their missions, attempts, dependencies and events, and vacuums them. */
export async function fillWithEndedTasks(owner: Db, tenantId: string, tasks: number): Promise<void> {
  const missions = Math.ceil(tasks / TASKS_A_MISSION)
  for (const statement of [
    `insert into missions (id, tenant_id, crew, state, total_tasks, open_tasks, on_task_failure, correlation_id, created_by, event_seq, ended_at)
     select gen_random_uuid(), '${tenantId}', 'history', 'completed', ${TASKS_A_MISSION}, 0, 'fail', 'history-' || n, 'history', ${TASKS_A_MISSION}, now()
     from generate_series(1, ${missions}) n`,
    `insert into tasks (id, tenant_id, mission_id, key, leaf, queue, state, attempt, max_attempts, retry, input, output, ended_at)
     select gen_random_uuid(), m.tenant_id, m.id, 't' || k, true, 'bench.noop', 'completed', 1, 3, '{}', '{"n": 1}', '{"ok": true}', now()
     from missions m, generate_series(1, ${TASKS_A_MISSION}) k where m.crew = 'history'`,
    `insert into attempts (task_id, attempt, tenant_id, agent_instance_id, incarnation, claim_id, ended_at, outcome)
     select t.id, 1, t.tenant_id, gen_random_uuid(), 1, gen_random_uuid(), now(), 'completed' from ${OLD}`,
    `insert into mission_events (mission_id, seq, tenant_id, type, task_id)
     select t.mission_id, substr(t.key, 2)::int, t.tenant_id, 'task.completed', t.id from ${OLD}`,
    `insert into task_dependencies (tenant_id, task_id, depends_on)
     select t.tenant_id, t.id, a.id from ${OLD} join tasks a on a.mission_id = t.mission_id and a.key = 't1' where t.key = 't2'`,
    'vacuum analyze',
  ])
    await sql.raw(statement).execute(owner)
}
