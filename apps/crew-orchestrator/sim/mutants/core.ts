/** Faults in claims, reports, sweeps, cancels and submits. */
import { edit } from './edit.ts'
import type { Mutant } from './edit.ts'

const FENCE = `t.state = 'executing' and t.attempt = r.attempt and t.lease_owner = i.id and t.lease_incarnation = r.incarnation and i.incarnation = r.incarnation`

export const CORE_MUTANTS: readonly Mutant[] = [
  {
    name: 'fence-dropped',
    about: 'a report about any executing task is taken, whoever sends it',
    edits: [edit('store/reports.ts', FENCE, `t.state = 'executing'`)],
  },
  {
    name: 'attempt-dropped',
    about: 'the fence does not look at the number of the attempt',
    edits: [edit('store/reports.ts', FENCE, FENCE.replace('t.attempt = r.attempt and ', ''))],
  },
  {
    name: 'incarnation-dropped',
    about: 'the fence does not look at the incarnation',
    edits: [
      edit(
        'store/reports.ts',
        FENCE,
        FENCE.replace(' and t.lease_incarnation = r.incarnation and i.incarnation = r.incarnation', ''),
      ),
    ],
  },
  {
    name: 'lease-unchecked',
    about: 'an instance that stopped beating is given work',
    edits: [
      edit(
        'store/lease.ts',
        `when i.lifecycle = 'ready' and i.lease_expires_at > now() then`,
        `when i.lifecycle = 'ready' then`,
      ),
    ],
  },
  {
    name: 'bell-trusted',
    about: 'claims that wait do not poll',
    edits: [edit('engine/claim-desk.ts', `serveAfter(group, pollMs)`, ``)],
  },
  {
    name: 'countdown-outside',
    about: 'dependencies are counted down in a transaction of their own, after the one of the report',
    edits: [
      edit(
        'engine/settle.ts',
        `return await saveLedger(trx, ledger, options)`,
        `const counted = [...ledger.changed].filter((task) => task.state === 'blocked')
  for (const task of counted) ledger.changed.delete(task)
  return { ...(await saveLedger(trx, ledger, options)), counted }`,
      ),
      edit(
        'engine/complete.ts',
        `  return await inTransaction(db, async (trx) => {`,
        `  const done = await inTransaction(db, async (trx) => {`,
      ),
      edit(
        'engine/complete.ts',
        `/** Of a report that changed nothing:`,
        `async function countOutside(db, counted) {
  const { saveLedger } = await import('../store/save-ledger.ts')
  const ledger = openLedger()
  for (const task of counted ?? []) ledger.changed.add(task)
  await inTransaction(db, async (trx) => { await saveLedger(trx, ledger) })
}

/** Of a report that changed nothing:`,
      ),
      edit(
        'engine/complete.ts',
        `      saved,
    }
  })
}`,
        `      saved,
    }
  })
  await countOutside(db, done.saved.counted)
  return done
}`,
      ),
    ],
  },
  {
    name: 'retries-reset',
    about: 'every failure counts as the first',
    edits: [
      edit('domain/end-attempt.ts', `decideRetry(task.retry, task.attempt - back,`, `decideRetry(task.retry, 1,`),
    ],
  },
  {
    name: 'one-attempt-more',
    about: 'a task is tried once more than it may be',
    edits: [edit('domain/retry.ts', `attempt >= maxAttempts`, `attempt > maxAttempts`)],
  },
  {
    name: 'one-attempt-less',
    about: 'a task is given up one attempt too early',
    edits: [edit('domain/retry.ts', `attempt >= maxAttempts`, `attempt + 1 >= maxAttempts`)],
  },
  {
    name: 'release-costs',
    about: 'a task that is handed back has lost an attempt',
    edits: [
      edit(
        'domain/end-attempt.ts',
        `    // Handing a task back is not a failure: the attempt that it cost is given back.
    task.maxAttempts += 1`,
        ``,
      ),
    ],
  },
  {
    name: 'zombie-after-release',
    about: 'a report counts after the attempt was released, as long as nobody took the task again',
    edits: [
      edit('store/reports.ts', FENCE, `t.attempt = r.attempt and i.incarnation = r.incarnation`),
      edit(
        'engine/complete.ts',
        `if (task.state !== 'executing') continue`,
        `if (task.state !== 'executing' && task.state !== 'queued') continue`,
      ),
      edit(
        'domain/states.ts',
        `queued: ['executing',`,
        `queued: ['completed', 'rejected', 'waiting', 'scheduled', 'queued', 'executing',`,
      ),
    ],
  },
  {
    name: 'cancel-not-cascaded',
    about: 'a cancel marks its mission and leaves the tasks that wait',
    edits: [edit('engine/cancel.ts', `cancelWaiting(ledger, await lockWaiting(trx, ledger, ids))`, `void lockWaiting`)],
  },
  {
    name: 'terminal-state-left',
    about: 'what has failed may be canceled',
    edits: [
      edit(
        'domain/states.ts',
        `  failed: [],
  canceled: [],
  rejected: [],`,
        `  failed: ['canceled'],
  canceled: [],
  rejected: [],`,
      ),
    ],
  },
  {
    name: 'duplicate-submit',
    about: 'the idempotency key of a mission is not stored',
    edits: [edit('store/submit.ts', `idempotency_key: order.idempotencyKey,`, `idempotency_key: null,`)],
  },
  {
    name: 'hash-ignored',
    about: 'an idempotency key answers for another request',
    edits: [
      edit(
        'engine/submit.ts',
        `if (known.requestHash !== row.requestHash) return`,
        `if (known.requestHash === '') return`,
      ),
    ],
  },
  {
    name: 'local-clock',
    about: 'a sweep judges leases by the clock of its own process',
    edits: [
      edit(
        'store/due.ts',
        'from tasks t where t.due_at <= now() and ${ofKind(kind)} ${only',
        'from tasks t where t.due_at <= ${performance.now() + 3000 * Math.random()}::float8 and ${ofKind(kind)} ${only',
      ),
    ],
  },
  {
    name: 'claim-not-judged-again',
    about: 'a claim takes what it saw queued without looking again under the lock',
    edits: [
      edit(
        'store/lease.ts',
        `t.ctid = any(array(select spot from candidates)) and t.state = 'queued' for update`,
        `t.ctid = any(array(select spot from candidates)) for update`,
      ),
    ],
  },
  {
    name: 'mission-not-locked',
    about: 'missions are read without their lock',
    edits: [
      edit(
        'store/load.ts',
        "order by m.id for no key update ${others === 'wait' ? sql`` : sql`skip locked`}",
        'order by m.id',
      ),
    ],
  },
  {
    name: 'first-parent-frees',
    about: 'a task is let go when the first of its dependencies is done',
    edits: [
      edit(
        'domain/propagate.ts',
        `else if (task.blockedBy === 0) free.push(task)`,
        `else { task.blockedBy = 0; free.push(task) }`,
      ),
    ],
  },
]
