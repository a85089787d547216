/** Faults in handing tasks to claims that wait, in the statement that queues them. */
import { edit } from './edit.ts'
import type { Mutant } from './edit.ts'

const HELD_BACK = `(c.paused_at is not null or c.max_executing is not null)`

export const HAND_OVER_MUTANTS: readonly Mutant[] = [
  {
    name: 'hand-incarnation-dropped',
    about: 'tasks are put into the hands of a process that was replaced',
    edits: [edit('store/hand-over.ts', ` and i.incarnation = h.incarnation`, ``)],
  },
  {
    name: 'hand-lifecycle-dropped',
    about: 'tasks are put into the hands of an instance that drains',
    edits: [
      edit('store/hand-over.ts', `i.lifecycle = 'ready' and i.lease_expires_at > now()`, `i.lease_expires_at > now()`),
    ],
  },
  {
    name: 'hand-lease-unchecked',
    about: 'tasks are put into the hands of an instance that stopped beating',
    edits: [
      edit('store/hand-over.ts', `i.lifecycle = 'ready' and i.lease_expires_at > now()`, `i.lifecycle = 'ready'`),
    ],
  },
  {
    name: 'hand-slots-uncounted',
    about: 'what an instance executes already takes none of its slots',
    edits: [
      edit(
        'store/hand-over.ts',
        `i.slots - (select count(*) from tasks t where t.lease_owner = i.id) >= h.asked`,
        `i.slots >= h.asked`,
      ),
    ],
  },
  {
    name: 'hand-to-repeated-claim',
    about: 'a claim that is repeated at another process, and holds tasks already, is given others',
    edits: [
      edit(
        'store/hand-over.ts',
        `and not exists (select from tasks t where t.lease_owner = i.id and t.claim_id = h.claim_id)`,
        ``,
      ),
    ],
  },
  {
    name: 'hand-from-paused-queue',
    about: 'tasks of a paused queue are handed over',
    edits: [edit('store/hand-over.ts', HELD_BACK, `c.max_executing is not null`)],
  },
  {
    name: 'hand-from-limited-queue',
    about: 'tasks of a limited queue are handed over without counting',
    edits: [edit('store/hand-over.ts', HELD_BACK, `c.paused_at is not null`)],
  },
  {
    name: 'hand-overtakes',
    about: 'tasks are handed over while others stand in their queue',
    edits: [edit('store/hand-over.ts', `t.state = 'queued' and t.ungated`, `t.state = 'nothing' and t.ungated`)],
  },
  {
    name: 'hand-of-the-held',
    about: 'what waits for its mission to be resumed is handed over',
    edits: [
      edit('domain/hand-over.ts', `!task.held &&`, ``),
      edit('domain/hand-over.ts', `state !== 'paused' && `, ``),
    ],
  },
  {
    name: 'hand-past-a-key',
    about: 'tasks with a concurrency key are handed over without counting',
    edits: [edit('domain/hand-over.ts', `task.concurrency === null &&`, ``)],
  },
  {
    name: 'lent-claim-served',
    about: 'the statement of its group serves a claim that is lent',
    edits: [edit('engine/claim-desk.ts', `!inFlight && !loanOf.has(instance)`, `(!inFlight || loanOf.has(instance))`)],
  },
  {
    name: 'lender-served',
    about: 'another claim of an instance is served while one of its claims is lent',
    edits: [edit('engine/claim-desk.ts', `!inFlight && !loanOf.has(instance)`, `!inFlight`)],
  },
  {
    name: 'claims-told-behind-a-shut-gate',
    about: 'events say that tasks were claimed which were queued',
    edits: [
      edit('store/submit.ts', `where exists (select from gate) and r.mission_id in`, `where r.mission_id in`),
      edit(
        'store/save-ledger.ts',
        'insertEvents(ofTenants(ledger, over.events), sql`where exists (select from gate)`)',
        'insertEvents(ofTenants(ledger, over.events))',
      ),
    ],
  },
  {
    name: 'start-untold',
    about: 'the first hand-over of a mission does not say that it has started',
    edits: [
      edit('domain/hand-over.ts', `if (mission.state === 'submitted' && !eventsOf.has(mission.id))`, `if (false)`),
    ],
  },
  {
    name: 'handed-behind-a-shut-gate',
    about: 'claims are answered with tasks that were queued',
    edits: [
      edit('store/submit.ts', 'isHanding ? sql`exists (select from gate)`', 'isHanding ? sql`true`'),
      edit('store/save-ledger.ts', 'isHanding ? sql`exists (select from gate)`', 'isHanding ? sql`true`'),
    ],
  },
  {
    name: 'given-though-not-stored',
    about: 'claims are answered with tasks of a mission that met its idempotency key',
    edits: [edit('engine/engine.ts', `saved.isHanded && stored.has(missionId)`, `saved.isHanded`)],
  },
  {
    name: 'given-though-failed',
    about: 'claims are answered although the statement has failed',
    edits: [edit('engine/engine.ts', `const NOTHING = (): boolean => false`, `const NOTHING = (): boolean => true`)],
  },
  {
    name: 'planned-and-moved',
    about: 'a task that is let go as it is planned is handed over twice',
    edits: [edit('domain/propagate.ts', `    touch(ledger, task)`, `    ledger.changed.add(task)`)],
  },
  {
    name: 'attempt-unopened',
    about: 'what was freed by a report and handed over has no attempt',
    edits: [edit('store/save-ledger.ts', `, ...(ledger.changed.size > 0 ? ['tasks_moved'] : [])`, ``)],
  },
]
