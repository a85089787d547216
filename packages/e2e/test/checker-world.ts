import { createHash } from 'node:crypto'
import pg from 'pg'

/** A small database in which everything is as it must be, written by hand: no service has seen it. */
export const WORLD_REST = { quietMs: 60_000, sweepMs: 1000, leaseMs: 15_000 } as const

/** The id of a thing of the world by its name. */
export function id(name: string): string {
  const hex = createHash('sha256').update(name).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-7${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/** Runs statements as the owner of the database. `$name` stands for the id of what has that name. */
export async function runSql(directUrl: string, ...statements: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: directUrl })
  await client.connect()
  try {
    for (const statement of statements) {
      await client.query(statement.replaceAll(/\$([a-z]\w*)/gi, (_, name: string) => `'${id(name)}'::uuid`))
    }
  } finally {
    await client.end()
  }
}

/** Fills the database, and takes away what would keep a test from breaking it: checks, references and unique indexes. */
export async function buildWorld(directUrl: string): Promise<void> {
  await runSql(directUrl, ...PLATFORM, ...MISSIONS.flatMap(missionSql), ...REST, NO_GUARDS)
}

const PLATFORM = [
  `insert into tenants (id, name) values ($ours, 'ours'), ($theirs, 'theirs')`,
  `insert into agents (id, tenant_id, name, version, skills, skill_ids) values ($agent, $ours, 'worker', '1.0.0', '[]', '{work}')`,
  `insert into agent_instances (id, tenant_id, agent_id, subject, version, skills, slots, lifecycle, health, incarnation, registered_at,
      last_heartbeat_at, lease_expires_at)
    values ($one, $ours, $agent, 'client/one', '1.0.0', '{work}', 4, 'ready', 'passing', 2, now() - interval '1 hour', now(), now() + interval '15 seconds')`,
  `insert into agent_events (tenant_id, seq, type, agent_id, instance_id, body) values
    ($ours, 1, 'agent.registered', $agent, $one, '{"incarnation": 1}'), ($ours, 2, 'agent.registered', $agent, $one, '{"incarnation": 2}')`,
  `insert into audit (tenant_id, actor, action, ref) values ($ours, 'client/one', 'agent.registered', 'agent')`,
  `insert into operations (id, tenant_id, action, filter, request_hash, correlation_id, created_by, state, targets, matched, position, done, ended_at)
    values ($many, $ours, 'pauseMission', '{"all": true}', 'h', 'c', 'client', 'completed', '{}', 1, 1, 1, now())`,
  `insert into audit (tenant_id, actor, action, ref, detail)
    values ($ours, 'client', 'mission.paused', $running, jsonb_build_object('operation', 'operation/' || $many))`,
]

interface TaskSketch {
  readonly state: string
  readonly needs?: string
  readonly blockedBy?: number
  /** Outcomes of its attempts, oldest first; `open` for one that runs. */
  readonly attempts?: readonly string[]
  readonly more?: Readonly<Record<string, string>>
}
interface MissionSketch {
  readonly name: string
  readonly state: string
  readonly tasks: Readonly<Record<string, TaskSketch>>
  /** `type task`, or `type` alone for one of the mission. */
  readonly events: readonly string[]
  readonly more?: Readonly<Record<string, string>>
}

const ENDED = new Set(['completed', 'failed', 'canceled', 'rejected', 'skipped'])

const MISSIONS: readonly MissionSketch[] = [
  {
    name: 'running',
    state: 'running',
    tasks: {
      a: { state: 'completed', attempts: ['completed'] },
      b: { state: 'executing', needs: 'a', attempts: ['lease_lost', 'open'] },
      c: { state: 'blocked', needs: 'b', blockedBy: 1 },
      d: { state: 'queued', more: { available_at: `now() - interval '1 second'` } },
      nap: { state: 'waiting', attempts: ['waiting'] },
      woken: { state: 'completed', attempts: ['waiting', 'completed'] },
      told: { state: 'completed', attempts: ['waiting', 'completed'] },
      ask: { state: 'input_required', attempts: ['waiting'] },
      later: { state: 'scheduled', attempts: ['failed'], more: { available_at: `now() + interval '1 hour'` } },
    },
    events: [
      ...[
        'mission.submitted',
        'task.queued a',
        'task.queued d',
        'task.queued nap',
        'task.queued woken',
        'task.queued told',
      ],
      ...[
        'task.queued ask',
        'task.queued later',
        'task.claimed a',
        'mission.started',
        'task.completed a',
        'task.queued b',
      ],
      ...[
        'task.claimed b',
        'task.queued b',
        'task.claimed b',
        'task.claimed nap',
        'task.waiting nap',
        'task.claimed woken',
      ],
      ...['task.waiting woken', 'task.queued woken', 'task.claimed woken', 'task.completed woken', 'task.claimed told'],
      ...['task.waiting told', 'task.queued told', 'task.claimed told', 'task.completed told', 'task.claimed ask'],
      ...['task.input_required ask', 'task.claimed later', 'task.retry.scheduled later'],
    ],
  },
  {
    name: 'done',
    state: 'completed',
    tasks: { z: { state: 'completed', attempts: ['completed'] } },
    events: [
      'mission.submitted',
      'task.queued z',
      'task.claimed z',
      'mission.started',
      'task.completed z',
      'mission.completed',
    ],
  },
  {
    name: 'broken',
    state: 'failed',
    tasks: { f: { state: 'failed', attempts: ['failed'] } },
    events: [
      'mission.submitted',
      'task.queued f',
      'task.claimed f',
      'mission.started',
      'task.failed f',
      'mission.failed',
    ],
  },
  {
    name: 'resting',
    state: 'paused',
    tasks: { held: { state: 'queued', more: { held: 'true' } } },
    events: ['mission.submitted', 'task.queued held', 'mission.paused'],
  },
  {
    name: 'checked',
    state: 'running',
    tasks: {
      pass: { state: 'completed', attempts: ['completed'], more: { policy: `'{"verify": {"kind": "agent"}}'` } },
      judge: {
        state: 'completed',
        attempts: ['completed'],
        more: { output: `'{"passed": true}'`, policy: `'{"verifies": 1, "tolerated": true}'`, parent_id: '$pass' },
      },
      shown: { state: 'verifying', attempts: ['delivered'], more: { policy: `'{"verify": {"kind": "human"}}'` } },
    },
    events: [
      ...['mission.submitted', 'task.queued pass', 'task.queued shown', 'task.claimed pass', 'mission.started'],
      ...['task.verifying pass', 'task.queued judge', 'task.claimed judge', 'task.completed judge'],
      ...['task.verified pass', 'task.completed pass', 'task.claimed shown', 'task.verifying shown'],
    ],
  },
  {
    name: 'undone',
    state: 'failed',
    tasks: {
      first: { state: 'completed', attempts: ['completed'], more: { policy: `'{"compensate": {}}'` } },
      second: { state: 'completed', attempts: ['completed'], more: { policy: `'{"compensate": {}}'` } },
      third: { state: 'failed', attempts: ['failed'] },
      second_undone: {
        state: 'completed',
        attempts: ['completed'],
        more: {
          policy: `'{"compensates": "second"}'`,
          parent_id: '$second',
          ended_at: `now() - interval '20 minutes'`,
        },
      },
      first_undone: {
        state: 'completed',
        needs: 'second_undone',
        attempts: ['completed'],
        more: { policy: `'{"compensates": "first"}'`, parent_id: '$first' },
      },
    },
    events: [
      ...['mission.submitted', 'task.queued first', 'task.queued second', 'task.queued third', 'task.claimed first'],
      ...['mission.started', 'task.completed first', 'task.claimed second', 'task.completed second'],
      ...['task.claimed third', 'task.failed third', 'mission.compensating', 'task.queued second_undone'],
      ...['task.claimed second_undone', 'task.completed second_undone', 'task.queued first_undone'],
      ...['task.claimed first_undone', 'task.completed first_undone', 'mission.failed'],
    ],
    more: { compensating_at: `now() - interval '19 minutes'` },
  },
  {
    name: 'ended',
    state: 'canceled',
    tasks: { x: { state: 'canceled' } },
    events: ['mission.submitted', 'task.queued x', 'mission.cancel_requested', 'task.canceled x', 'mission.canceled'],
    more: { cancel_requested_at: `now() - interval '10 minutes'` },
  },
]

function missionSql({ name, state, tasks, events, more = {} }: MissionSketch): string[] {
  const all = Object.values(tasks)
  const open = all.filter((task) => !ENDED.has(task.state)).length
  return [
    insert('missions', {
      id: `$${name}`,
      tenant_id: '$ours',
      crew: `'crew'`,
      state: text(state),
      total_tasks: String(all.length),
      open_tasks: String(open),
      on_task_failure: `'fail'`,
      correlation_id: text(name),
      created_by: `'client'`,
      idempotency_key: text(`key-${name}`),
      labels: `'{"marker": "${name}"}'`,
      event_seq: String(events.length),
      version: '7',
      started_at: ['running', 'completed', 'failed'].includes(state) ? `now() - interval '25 minutes'` : 'null',
      ended_at: ENDED.has(state) ? `now() - interval '5 minutes'` : 'null',
      ...more,
    }),
    `insert into audit (tenant_id, actor, action, ref) select $ours, 'client', a, $${name}::text
      from unnest(array['mission.submitted', 'mission.cancel_requested']) a`,
    ...Object.entries(tasks).flatMap(([key, task]) => taskSql(name, key, task)),
    ...events.map((event, index) => {
      const [type = '', task] = event.split(' ')
      return insert('mission_events', {
        mission_id: `$${name}`,
        seq: String(index + 1),
        tenant_id: '$ours',
        type: text(type),
        task_id: task === undefined ? 'null' : `$${task}`,
      })
    }),
  ]
}

function taskSql(mission: string, key: string, task: TaskSketch): string[] {
  const { state, needs, blockedBy = 0, attempts = [], more = {} } = task
  const claim = (n: number): string => `$claim_${key}_${n}`
  const isOpen = state === 'executing'
  const lease = {
    lease_owner: '$one',
    lease_incarnation: '2',
    claim_id: claim(attempts.length),
    lease_expires_at: `now() + interval '10 seconds'`,
  }
  return [
    insert('tasks', {
      id: `$${key}`,
      tenant_id: '$ours',
      mission_id: `$${mission}`,
      key: text(key),
      leaf: 'false',
      queue: `'work'`,
      state: text(state),
      blocked_by: String(blockedBy),
      attempt: String(attempts.length),
      max_attempts: '3',
      retry: `'{}'`,
      output: state === 'completed' ? `'1'` : 'null',
      ended_at: ENDED.has(state) ? `now() - interval '${key === 'a' ? 20 : 5} minutes'` : 'null',
      ...(isOpen && lease),
      ...more,
    }),
    ...(needs === undefined
      ? []
      : [insert('task_dependencies', { tenant_id: '$ours', task_id: `$${key}`, depends_on: `$${needs}` })]),
    ...attempts.map((outcome, index) =>
      insert('attempts', {
        task_id: `$${key}`,
        attempt: String(index + 1),
        tenant_id: '$ours',
        agent_instance_id: '$one',
        incarnation: '2',
        claim_id: claim(index + 1),
        started_at: `now() - interval '${19 - index} minutes'`,
        ended_at: outcome === 'open' ? 'null' : `now() - interval '${18 - index} minutes'`,
        outcome: outcome === 'open' ? 'null' : text(outcome),
        output_hash: outcome === 'completed' ? `sha256('1')` : 'null',
      }),
    ),
  ]
}

const wait = (task: string, more: Readonly<Record<string, string>>): string =>
  insert('waits', { task_id: `$${task}`, name: `'nap'`, tenant_id: '$ours', mission_id: '$running', ...more })
const step = (task: string, name: string): string =>
  insert('steps', {
    task_id: `$${task}`,
    name: text(name),
    tenant_id: '$ours',
    attempt: '1',
    response: `'null'`,
    created_at: `now() - interval '17 minutes'`,
  })

const effect = (task: string, name: string, more: Readonly<Record<string, string>> = {}): string =>
  insert('effects', {
    task_id: `$${task}`,
    name: text(name),
    tenant_id: '$ours',
    attempt: '1',
    state: `'done'`,
    idempotent: String(name === 'keyed'),
    response: `'true'`,
    created_at: `now() - interval '18.5 minutes'`,
    done_at: `now() - interval '18.5 minutes'`,
    ...more,
  })

const REST = [
  wait('nap', { kind: `'timer'`, fire_at: `now() + interval '1 hour'` }),
  wait('woken', {
    kind: `'timer'`,
    fire_at: `now() - interval '17 minutes'`,
    fired_at: `now() - interval '16 minutes'`,
  }),
  wait('told', { kind: `'signal'`, signal: `'go'`, fired_at: `now() - interval '16 minutes'` }),
  wait('ask', { kind: `'approval'` }),
  step('woken', 'wait:nap'),
  step('told', 'wait:nap'),
  effect('a', 'keyed'),
  effect('a', 'plain'),
  effect('woken', 'plain', { resolved_by: `'client/person'`, done_at: `now() - interval '17 minutes'` }),
  `insert into signals (id, tenant_id, mission_id, name, payload, request_hash, sent_by, taken_by, taken_at)
    values ($signal, $ours, $running, 'go', 'null', 'hash', 'client', $told, now())`,
  `insert into approvals (id, tenant_id, mission_id, task_id, task_key, wait, title, data, hash, approvers, quorum, state, on_timeout, escalate_to)
    values ($approval, $ours, $running, $ask, 'ask', 'nap', 'May I?', 'null', 'hash', '{}', 1, 'open', 'reject', '{}')`,
  `insert into approvals (id, tenant_id, mission_id, task_id, task_key, verifies, title, data, hash, approvers, quorum, state, on_timeout, escalate_to)
    values ($look, $ours, $checked, $shown, 'shown', 1, 'Good?', 'null', 'hash', '{}', 1, 'open', 'reject', '{}')`,
  `insert into verifications (task_id, round, tenant_id, mission_id, attempt, kind, state, verifier_task_id, approval_id, decided_at) values
    ($pass, 1, $ours, $checked, 1, 'agent', 'passed', $judge, null, now()), ($shown, 1, $ours, $checked, 1, 'human', 'open', null, $look, null)`,
  `insert into dead_letters (id, tenant_id, mission_id, task_id, key, error) values
    ($letter, $ours, $broken, $f, 'f', '{}'), ($lost, $ours, $undone, $third, 'third', '{}')`,
]

const NO_GUARDS = `do $$ declare r record; begin
  for r in select conrelid::regclass as t, conname from pg_constraint where connamespace = 'public'::regnamespace and conrelid <> 0 and contype <> 'p' loop
    execute format('alter table %s drop constraint if exists %I cascade', r.t, r.conname);
  end loop;
  for r in select x.indexrelid::regclass as i from pg_index x join pg_class c on c.oid = x.indrelid
    where c.relnamespace = 'public'::regnamespace and x.indisunique and not x.indisprimary loop
    execute format('drop index %s', r.i);
  end loop;
end $$`

function text(value: string): string {
  return `'${value}'`
}

function insert(table: string, row: Readonly<Record<string, string>>): string {
  return `insert into ${table} (${Object.keys(row).join(', ')}) values (${Object.values(row).join(', ')})`
}
