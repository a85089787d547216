import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/**
 * What passes the outputs of tasks, round by round, and missions that a failing task pauses. `due_at` is made anew, since an expression
 * cannot be changed: people may have a deadline to verify by.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  const statements = [
    `create table verifications (
      task_id uuid not null, round int not null check (round > 0), tenant_id uuid not null, mission_id uuid not null,
      attempt int not null check (attempt > 0), kind text not null check (kind in ('schema', 'agent', 'command', 'human')),
      state text not null check (state in ('open', 'passed', 'failed', 'withdrawn')), reason text, verifier_task_id uuid, approval_id uuid,
      created_at timestamptz not null default now(), decided_at timestamptz, primary key (task_id, round),
      check ((state = 'open') = (decided_at is null)),
      check ((kind in ('agent', 'command')) = (verifier_task_id is not null) or state = 'failed'),
      check ((kind = 'human') = (approval_id is not null)))`,
    `create unique index verifications_open on verifications (task_id) where state = 'open'`,
    `alter table approvals add column verifies int check (verifies > 0)`,
    ...policies(['fail', 'continue', 'pause']),
    ...dueAt('least(available_at, total_deadline_at)'),
  ]
  for (const statement of statements) await sql.raw(statement).execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  const statements = [
    `drop table verifications`,
    `alter table approvals drop column verifies`,
    ...policies(['fail', 'continue']),
    ...dueAt('total_deadline_at'),
  ]
  for (const statement of statements) await sql.raw(statement).execute(db)
}

const policies = (known: readonly string[]): string[] => [
  `alter table missions drop constraint missions_on_task_failure_check`,
  `alter table missions add constraint missions_on_task_failure_check
    check (on_task_failure in (${known.map((one) => `'${one}'`).join(', ')}))`,
]

const dueAt = (verifying: string): string[] => [
  `alter table tasks drop column due_at`,
  `alter table tasks add column due_at timestamptz generated always as (case state
    when 'executing' then least(lease_expires_at, attempt_deadline_at, progress_deadline_at, total_deadline_at)
    when 'scheduled' then least(available_at, total_deadline_at) when 'queued' then least(queue_deadline_at, total_deadline_at)
    when 'waiting' then least(available_at, total_deadline_at) when 'input_required' then least(available_at, total_deadline_at)
    when 'verifying' then ${verifying} when 'paused' then total_deadline_at end) stored`,
  `create index tasks_due on tasks (due_at) where due_at is not null`,
]
