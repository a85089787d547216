/** Faults in what holds tasks back: limits of queues and keys, pauses. */
import { edit } from './edit.ts'
import type { Edit, Mutant } from './edit.ts'

const inFunctions = (find: string, replace: string): Edit => ({
  file: 'packages/db/src/migrations/0008-queues.ts',
  find,
  replace,
})

export const LIMIT_MUTANTS: readonly Mutant[] = [
  {
    name: 'limit-without-lock',
    about: 'two claims count the places of a queue at once',
    edits: [
      inFunctions(
        `if not pg_try_advisory_xact_lock(hashtextextended(tenant || ' queue ' || wanted, 0)) then return null; end if;`,
        ``,
      ),
    ],
  },
  {
    name: 'limit-by-live-lease',
    about: 'a task whose lease has run out, and that executes all the same, takes no place of its queue',
    edits: [inFunctions(`where t.lease_owner is not null and`, `where t.lease_expires_at > now() and`)],
  },
  {
    name: 'key-without-lock',
    about: 'two claims count the places of a concurrency key at once',
    edits: [
      inFunctions(
        `if not pg_try_advisory_xact_lock(hashtextextended(tenant || ' key ' || head.key, 0)) then`,
        `if false then`,
      ),
    ],
  },
  {
    name: 'key-by-live-lease',
    about: 'a task whose lease has run out takes no place of its concurrency key',
    edits: [
      inFunctions(
        `into used from tasks t where t.tenant_id = tenant and t.concurrency_key = head.key and t.state = 'executing'`,
        `into used from tasks t where t.tenant_id = tenant and t.concurrency_key = head.key and t.lease_expires_at > now()`,
      ),
    ],
  },
  {
    name: 'queue-pause-unheeded',
    about: 'tasks of a paused queue are begun',
    edits: [
      edit(
        'store/lease.ts',
        `where c.paused_at is null and (select n > 0 from room)`,
        `where (select n > 0 from room)`,
      ),
    ],
  },
  {
    name: 'mission-pause-unheeded',
    about: 'what is queued in a paused mission is begun',
    edits: [
      edit('store/lease.ts', ` and m.state <> 'paused' from missions m`, ` from missions m`),
      edit('domain/ledger.ts', `task.held = to === 'queued' && mission.state === 'paused'`, `task.held = false`),
    ],
  },
]
