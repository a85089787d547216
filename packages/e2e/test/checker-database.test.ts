import { test } from '@hypercode/testkit'
import { describe, expect } from 'vitest'
import { check } from '../src/checker/check.ts'
import { WORLD_REST, buildWorld, runSql } from './checker-world.ts'

// Goal: the checker sees everything that it claims to see. Method: a database in which all is well, one thing broken in it by hand.

/** What is found, the name of the broken invariant first, and how it is broken. */
type Fault = readonly [found: readonly string[], ...statements: string[]]

const names = async (directUrl: string): Promise<string[]> =>
  (await check({ directUrl, rest: WORLD_REST })).map(({ invariant }) => invariant)

const MISSION_FAULTS: readonly Fault[] = [
  [
    ['O3 two successes of one task', 'O5 attempts that are not 1, 2, 3'],
    `alter table attempts drop constraint attempts_pkey`,
    `insert into attempts select * from attempts where task_id = $z`,
  ],
  [
    ['O4 a success that is not the latest attempt of a completed task'],
    `update attempts set outcome = 'completed', output_hash = '' where task_id = $f`,
  ],
  [['O4 a completed task with attempts and no success'], `update attempts set outcome = 'failed' where task_id = $z`],
  [['O5 attempts that are not 1, 2, 3'], `update attempts set attempt = 2 where task_id = $f`],
  [
    ['O6 an open attempt without an executing task, or two'],
    `update attempts set ended_at = now(), outcome = 'lease_lost' where task_id = $b and attempt = 2`,
  ],
  [['O6 an open attempt that is not of the owner of the lease'], `update tasks set claim_id = $other where id = $b`],
  [
    ['O7 an attempt that began before the one before it had ended'],
    `update attempts set started_at = started_at - interval '10 minutes' where task_id = $woken and attempt = 2`,
  ],
  [
    ['O8 lease columns that do not go together'],
    `update tasks set progress_deadline_at = now() + interval '1 hour' where id = $d`,
  ],
  [
    ['O25 a task that is not undone, or twice, although its mission did not succeed'],
    `update tasks set policy = null where id = $first_undone`,
  ],
  [
    ['O25 a compensation of what was not completed, or in a mission that undoes nothing'],
    `update missions set compensating_at = null where id = $undone`,
  ],
  [
    ['O25 a compensation that began before the one of what was completed after it had ended'],
    `update attempts set started_at = started_at - interval '1 hour' where task_id = $first_undone`,
    `delete from task_dependencies where task_id = $first_undone`,
  ],
  [
    ['O9 an attempt before its dependencies were done'],
    `update attempts set started_at = started_at - interval '1 hour', ended_at = ended_at - interval '1 hour' where task_id = $b and attempt = 1`,
  ],
  [['O10 blocked_by is not the number of open dependencies'], `update tasks set blocked_by = 2 where id = $c`],
  [
    ['O10 blocked by nothing, or queued while blocked'],
    `update tasks set blocked_by = 0 where id = $c`,
    `delete from task_dependencies where task_id = $c`,
  ],
  [['O11 open or total tasks of a mission are counted wrong'], `update missions set total_tasks = 9 where id = $done`],
  [['O11 a mission ended too early or not at all'], `update missions set ended_at = now() where id = $resting`],
  [
    ['O11 a completed mission with a task that is not done, or the reverse'],
    `update tasks set policy = '{"tolerated": true}' where id = $f`,
  ],
  [
    ['O12 an end that is not set exactly in terminal states'],
    `update tasks set ended_at = now() where id = $d`,
    `update missions set open_tasks = open_tasks - 1 where id = $running`,
  ],
  [['O12 an output that is not the one reported'], `update tasks set output = '2' where id = $z`],
  [['O14 more attempts than allowed'], `update tasks set max_attempts = 0 where id = $f`],
  [['O14 a task that its attempts failed without a dead letter'], `delete from dead_letters`],
  [['O15 two missions of one idempotency key'], `update missions set idempotency_key = 'key-done'`],
  [
    ['O17 a timer that was over before its time, or a wait that is over without a result'],
    `update waits set fired_at = fire_at - interval '1 ms' where task_id = $woken`,
  ],
  [['O17 a task that waits for nothing'], `delete from waits where task_id = $nap`],
  [
    ['O17 a signal that ended two waits, or none'],
    `insert into signals select (jsonb_populate_record(s, jsonb_build_object('id', $again))).* from signals s`,
  ],
  [
    ['O21 a task that waits for people without an open approval, or the reverse'],
    `update approvals set state = 'withdrawn', decided_at = now()`,
  ],
  [
    ['O21 an approval that too few, or the wrong number of clients decided'],
    `update approvals set quorum = 1, state = 'open'`,
    `insert into approval_decisions (approval_id, round, client, tenant_id, subject, verdict, hash) values ($approval, 1, 'c', $ours, 'c', 'approve', 'h')`,
  ],
  [['O24 a completed task with verify whose output did not pass'], `delete from verifications where task_id = $pass`],
  [
    ['O24 a round that passed, and its task is not completed by that attempt'],
    `insert into verifications (task_id, round, tenant_id, mission_id, attempt, kind, state, decided_at)
      values ($f, 1, $ours, $broken, 1, 'schema', 'passed', now())`,
  ],
  [
    ['O24 a round that is open without its task verifying, or the reverse'],
    `update verifications set state = 'failed', decided_at = now() where task_id = $shown`,
  ],
  [
    ['O24 a round that is open although the task that verifies has ended'],
    `update verifications set kind = 'agent', verifier_task_id = $judge where task_id = $shown`,
  ],
  [
    ['O24 rounds that are not 1, 2, 3, or more of an attempt than one'],
    `update verifications set round = 2 where task_id = $pass`,
  ],
  [
    ['O24 a round that a task has passed which did not say so'],
    `update tasks set output = '{"passed": false}' where id = $judge`,
  ],
  [
    ['O24 a round that people have passed who did not approve'],
    `insert into verifications (task_id, round, tenant_id, mission_id, attempt, kind, state, approval_id, decided_at)
      values ($z, 1, $ours, $done, 1, 'human', 'passed', $approval, now())`,
  ],
  [
    ['O18 a budget that has counted something else than the calls of its mission and of those within it'],
    `insert into mission_budgets (mission_id, tenant_id, tokens_max, tokens_used) values ($done, $ours, 9, 1)`,
  ],
  [
    ['O18 an attempt that began when the budget of its mission was used up'],
    `insert into usage (task_id, key, tenant_id, mission_id, attempt, model, input_tokens, output_tokens, usd) values ($z, 'k', $ours, $done, 1, 'm', 1, 0, 0)`,
    `insert into mission_budgets (mission_id, tenant_id, tokens_max, tokens_used, exhausted_at)
      select mission_id, $ours, 1, 1, '2000-01-01' from tasks where id = $z`,
    `update usage set mission_id = (select mission_id from tasks where id = $z) where task_id = $z`,
  ],
  [
    ['O19 events that are not 1..n'],
    `update mission_events set seq = 99 where mission_id = $done and type = 'mission.completed'`,
  ],
  [
    ['O22 more tasks of a concurrency key execute than its limit allows'],
    `update tasks set concurrency_key = 'key', concurrency_limit = 0 where id = $b`,
  ],
  [['O22 a task is held that does not wait in a paused mission'], `update tasks set held = true where id = $d`],
  [['O26 an operation that has counted what the audit does not hold'], `update operations set done = 2`],
  [
    ['O26 something that an operation has done twice'],
    `insert into audit (tenant_id, actor, action, ref, detail) select tenant_id, actor, action, ref, detail from audit where detail ? 'operation'`,
  ],
  [['O20 rows of one mission in different tenants'], `update attempts set tenant_id = $theirs where task_id = $z`],
  [
    ['O1 an event after the end of its mission'],
    `update mission_events set seq = 100 where mission_id = $done and seq = 5`,
    `update mission_events set seq = seq - 1 where mission_id = $done and seq = 6`,
    `update mission_events set seq = 6 where mission_id = $done and seq = 100`,
  ],
  [
    ['O1 an event after the end of its task'],
    `update mission_events set type = 'task.completed', task_id = $z where mission_id = $done and seq = 4`,
  ],
  [
    ['O2 a move that is not in the table'],
    `update mission_events set type = 'task.scheduled' where mission_id = $done and seq = 2`,
  ],
  [
    ['O19 a task that is not what its events tell'],
    `update mission_events set type = 'task.rejected' where mission_id = $broken and seq = 5`,
  ],
  [
    ['O19 a mission that is not what its events tell'],
    `update mission_events set type = 'mission.resumed' where mission_id = $resting and seq = 3`,
  ],
]

const REGISTRY_FAULTS: readonly Fault[] = [
  [['R1 an instance in a state that its lifecycle does not know'], `update agent_instances set lifecycle = 'asleep'`],
  [
    ['R1 a stable version that no passing run promoted'],
    `insert into blueprint_aliases (tenant_id, name, alias, version) values ($ours, 'made', 'stable', 1)`,
  ],
  [['R2 an incarnation that did not grow'], `update agent_events set body = '{"incarnation": 2}'`],
  [
    ['R2 an event of an incarnation that the instance never reached'],
    `update agent_events set body = '{"incarnation": 3}' where seq = 2`,
  ],
  [
    ['R3 two instances of one subject'],
    `insert into agent_instances select (jsonb_populate_record(i, jsonb_build_object('id', $two))).* from agent_instances i`,
  ],
  [['R3 an instance of another tenant than its agent'], `update agents set tenant_id = $theirs`],
  [['R4 a beat from the future'], `update agent_instances set last_heartbeat_at = now() + interval '1 minute'`],
  [
    ['R4 a lease that is longer than any that is given'],
    `update agent_instances set lease_expires_at = now() + interval '1 day'`,
  ],
  [['R5 an instance was reaped while its lease lived'], `update agent_instances set lifecycle = 'reaped'`],
  [
    ['R6 an attempt of an incarnation that its instance never reached'],
    `update attempts set incarnation = 3 where task_id = $z`,
  ],
  [['R7 an attempt by an instance without the skill'], `update tasks set queue = 'magic' where id = $z`],
  [['A1 a cancel that nobody is recorded for'], `delete from audit where action = 'mission.cancel_requested'`],
  [['A1 a submit that nobody is recorded for'], `delete from audit where action = 'mission.submitted'`],
  [['A1 a registration that nobody is recorded for'], `delete from audit where action = 'agent.registered'`],
]

const REST_FAULTS: readonly Fault[] = [
  [
    ['O16 a queued task is not claimed although an agent is there for it'],
    `update tasks set available_at = now() - interval '2 minutes' where id = $d`,
  ],
  [
    ['O16 an executing task whose lease is over'],
    `update tasks set lease_expires_at = now() - interval '3 seconds' where id = $b`,
  ],
  [
    ['O16 a scheduled task that is overdue'],
    `update tasks set available_at = now() - interval '3 seconds' where id = $later`,
  ],
  [['O16 a timer that is overdue'], `update waits set fire_at = now() - interval '3 seconds' where task_id = $nap`],
  [
    ['O16 a running mission in which nothing can happen'],
    `insert into missions (id, tenant_id, crew, state, total_tasks, open_tasks, on_task_failure, correlation_id, created_by, event_seq, started_at)
      values ($stuck, $ours, 'crew', 'running', 1, 1, 'fail', 'c', 'client', 2, now())`,
    `insert into audit (tenant_id, actor, action, ref) values ($ours, 'client', 'mission.submitted', $stuck::text)`,
    `insert into tasks (id, tenant_id, mission_id, key, leaf, queue, state, blocked_by, max_attempts, retry)
      values ($stuck_task, $ours, $stuck, 'only', true, 'work', 'blocked', 1, 1, '{}')`,
    `insert into task_dependencies (tenant_id, task_id, depends_on) values ($ours, $stuck_task, $stuck_task)`,
    `insert into mission_events (mission_id, seq, tenant_id, type) values ($stuck, 1, $ours, 'mission.submitted'), ($stuck, 2, $ours, 'mission.started')`,
  ],
  [
    ['R5 an instance is ready and its lease is over'],
    `update agent_instances set lease_expires_at = now() - interval '3 seconds'`,
  ],
  [
    ['R6 a lease is held by an older incarnation, or by an instance that is gone'],
    `update agent_instances set incarnation = 3`,
  ],
  [
    ['S6 a hint that no relay has sent'],
    `insert into outbox (payload, next_try_at) values ('[]', now() - interval '2 minutes')`,
  ],
]

test('a database in which all is well', async ({ database }) => {
  await buildWorld(database.directUrl)
  expect(await check({ directUrl: database.directUrl, rest: WORLD_REST })).toEqual([])
})

for (const [group, faults] of Object.entries({
  missions: MISSION_FAULTS,
  registry: REGISTRY_FAULTS,
  'at rest': REST_FAULTS,
})) {
  describe(group, () => {
    for (const [found, ...statements] of faults) {
      test(found[0] ?? '', async ({ database }) => {
        await buildWorld(database.directUrl)
        await runSql(database.directUrl, ...statements)
        expect(await names(database.directUrl)).toEqual(found)
      })
    }
  })
}
