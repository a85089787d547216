import type { Side } from './sides.ts'

/** A side, and what its ids stand for. */
export interface Named {
  side: Side
  names: Map<string, string>
}

/** What is compared of each table: columns as they are, and columns of which it counts whether they are set. */
const COMPARED = {
  missions: {
    as: ['state', 'open_tasks', 'total_tasks', 'event_seq', 'output', 'error', 'idempotency_key'],
    set: ['cancel_requested_at', 'compensating_at', 'started_at', 'ended_at', 'deadline_at'],
  },
  tasks: {
    as: [
      'mission_id',
      'key',
      'state',
      'reason',
      'blocked_by',
      'attempt',
      'max_attempts',
      'turn',
      'held',
      'lease_owner',
      'lease_incarnation',
      'input',
      'output',
      'error',
      'queue',
      'version',
    ],
    set: [
      'lease_expires_at',
      'attempt_deadline_at',
      'progress_deadline_at',
      'queue_deadline_at',
      'total_deadline_at',
      'available_at',
      'started_at',
      'ended_at',
    ],
  },
  attempts: {
    as: ['task_id', 'attempt', 'agent_instance_id', 'incarnation', 'outcome', 'error'],
    set: ['ended_at', 'output_hash'],
  },
  mission_events: { as: ['mission_id', 'seq', 'type', 'task_id'], set: [] },
  dead_letters: { as: ['task_id', 'resolution'], set: [] },
  steps: { as: ['task_id', 'name', 'attempt', 'request_hash', 'response'], set: [] },
  effects: {
    as: ['task_id', 'name', 'attempt', 'state', 'idempotent', 'request_hash', 'response', 'resolved_by'],
    set: ['done_at'],
  },
  approvals: {
    as: ['task_id', 'task_key', 'wait', 'data', 'hash', 'approvers', 'quorum', 'round', 'state', 'on_timeout'],
    set: ['deadline_at', 'escalate_at', 'escalated_at', 'decided_at'],
  },
  verifications: {
    as: ['task_id', 'round', 'attempt', 'kind', 'state', 'reason', 'verifier_task_id', 'approval_id'],
    set: ['decided_at'],
  },
  approval_decisions: { as: ['round', 'client', 'verdict', 'hash'], set: ['at'] },
  outbox: { as: ['tries', 'payload'], set: [] },
  queue_controls: { as: ['queue', 'paused_by', 'max_executing'], set: ['paused_at'] },
  waits: { as: ['task_id', 'name', 'kind', 'signal'], set: ['fire_at', 'fired_at'] },
  signals: { as: ['mission_id', 'name', 'taken_by'], set: ['taken_at'] },
} as const

/** Everything that a side holds, by table, in an order of its own and without ids. */
export async function dump({ side, names }: Named): Promise<Record<string, string[]>> {
  for (const task of await side.rows('tasks'))
    names.set(String(task['id']), `${names.get(String(task['mission_id']))}.${String(task['key'])}`)
  const found: Record<string, string[]> = {}
  for (const [table, { as, set }] of Object.entries(COMPARED)) {
    const rows = await side.rows(table as keyof typeof COMPARED)
    const own = rows.filter((row) => row['tenant_id'] === undefined || row['tenant_id'] === side.tenantId)
    const told = own.map((row) =>
      JSON.stringify([
        ...as.map((column) => `${column}=${stable(inOrder(column, row[column]) ?? null)}`),
        ...set.map((column) => `${column}:${row[column] !== null && row[column] !== undefined}`),
      ]),
    )
    found[table] = told.map((text) => nameIds(names, text)).sort()
  }
  return found
}

/** Postgres puts those who may decide in no order. */
const inOrder = (column: string, value: unknown): unknown =>
  column === 'approvers' ? (value as string[]).toSorted() : value

/** JSON with members in one order: jsonb has its own. */
const stable = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )

const UUID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g
const nameIds = (names: ReadonlyMap<string, string>, text: string): string =>
  text.replace(UUID, (id) => names.get(id) ?? '<id>')

/** A value without ids and without what real time decides. */
export const withoutIds = ({ names }: Pick<Named, 'names'>, value: unknown): unknown =>
  JSON.parse(
    nameIds(names, stable(value ?? null)).replace(/"attemptTimeoutMs":\d+/g, '"attemptTimeoutMs":0'),
  ) as unknown
