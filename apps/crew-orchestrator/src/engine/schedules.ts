/** Schedules: what people do with them, and the loop that begins their missions. */
import { newId } from '@hypercode/contracts'
import type { Schedule, ScheduleSpec, TaskError } from '@hypercode/contracts'
import { inTransaction, writeAudit } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import { AppError } from '@hypercode/http'
import { hashText } from '@hypercode/manifest'
import { calendarOf, decideFiring, dueAt } from '../domain/schedule.ts'
import type { Calendar, Firing } from '../domain/schedule.ts'
import {
  claimDue,
  deleteSchedule,
  findSchedule,
  insertSchedule,
  moveOn,
  noteTriggered,
  pauseSchedule,
  readClock,
  replaceSchedule,
  resumeSchedule,
} from '../store/schedules.ts'
import type { DueSchedule, NextInstant } from '../store/schedules.ts'
import { cancelMission } from './cancel.ts'
import type { Engine } from './engine.ts'
import type { PlanSource } from './plans.ts'
import type { SubmitResult } from './submit.ts'

/** Schedules of a tenant. */
export const SCHEDULES_MAX = 1000
/** Schedules that one turn of the loop takes at a time, and in all. */
const BATCH = 100
const TURN_MAX = 1000
/** How long others keep off what one has taken. Who takes longer than this is overtaken, and begins no second mission all the same. */
const CLAIM_MS = 5000

export interface Schedules {
  create(order: ScheduleOrder & { spec: ScheduleSpec }): Promise<Schedule>
  replace(order: ScheduleOrder & { id: string; spec: ScheduleSpec }): Promise<Schedule>
  remove(order: ScheduleOrder & { id: string }): Promise<void>
  pause(order: ScheduleOrder & { id: string }): Promise<Schedule>
  resume(order: ScheduleOrder & { id: string }): Promise<Schedule>
  /** Begins a mission now. */
  trigger(order: ScheduleOrder & { id: string }): Promise<SubmitResult>
  /** One turn of the loop: begins what is due. Answers how many schedules it looked at. */
  turn(): Promise<number>
}

export interface ScheduleOrder {
  tenantId: string
  actor: string
}

export function createSchedules(engine: Engine, plans: PlanSource): Schedules {
  const { urgentDb: db } = engine

  /** Faults of a schedule are told before it is stored: no such crew, no such time zone, no cron expression. */
  const check = async (tenantId: string, spec: ScheduleSpec): Promise<void> => {
    calendarFor(spec)
    await plans.planOf(tenantId, { crew: spec.crew })
  }

  const audited = async (
    { tenantId, actor, id }: ScheduleOrder & { id: string },
    what: string,
    act: (trx: Db) => Promise<boolean>,
  ): Promise<boolean> =>
    await inTransaction(db, async (trx) => {
      if (!(await act(trx))) return false
      await writeAudit(trx, [{ tenantId, actor, action: `schedule.${what}`, ref: id }])
      return true
    })

  const submit = async (
    schedule: Pick<DueSchedule, 'id' | 'tenantId' | 'spec'>,
    key: string,
  ): Promise<SubmitResult> => {
    const { id, tenantId, spec } = schedule
    await engine.openMissions.admit(tenantId, 1)
    return await engine.submit({
      tenantId,
      createdBy: `schedule/${id}`,
      ...(await plans.planOf(tenantId, { crew: spec.crew })),
      input: spec.input ?? null,
      priority: spec.priority ?? 0,
      labels: spec.labels ?? {},
      idempotencyKey: key,
      // The key says it all: a schedule that was edited meanwhile begins no second mission for the same instant.
      requestHash: hashText(key),
      requestChars: JSON.stringify(spec).length,
      correlationId: newId(),
      traceparent: null,
    })
  }

  const fire = async (due: DueSchedule): Promise<void> => {
    const { next } = calendarFor(due.spec)
    const firing = decideFiring(due, next)
    let missionId: string | null = null
    let error: TaskError | null = null
    try {
      if (firing.cancel && due.lastMissionId !== null) await cancelBefore(due, due.lastMissionId)
      if (firing.start !== null) missionId = (await submit(due, `schedule/${due.id}/${firing.start.toISOString()}`)).id
    } catch (fault) {
      if (!(fault instanceof AppError) || fault.status >= 500 || fault.status === 429) {
        // Nothing is wrong with the schedule: it is tried again when its claim has run out, until it is too late for this instant. Till
        // then it stands in nobody's way.
        throw fault
      }
      error = { code: fault.code, message: fault.message.slice(0, ERROR_MAX).toWellFormed() }
    }
    await moveOn(db, due, outcomeOf(due, firing, missionId, error))
  }

  const cancelBefore = async ({ id, tenantId }: DueSchedule, missionId: string): Promise<void> =>
    engine.after(
      await cancelMission(db, {
        tenantId,
        missionId,
        actor: `schedule/${id}`,
        reason: 'the next one of its schedule begins',
      }),
    )

  const found = async (tenantId: string, id: string): Promise<Schedule> => {
    const schedule = await findSchedule(db, tenantId, id)
    if (schedule === undefined) throw new AppError('not_found')
    return schedule
  }

  return {
    async create({ tenantId, actor, spec }) {
      await check(tenantId, spec)
      const id = newId()
      const first = nextOf(id, spec, await readClock(db))
      const stored = await audited({ tenantId, actor, id }, 'created', async (trx) =>
        insertSchedule(trx, { id, tenantId, spec, createdBy: actor, ...first }, SCHEDULES_MAX),
      )
      if (!stored)
        throw new AppError('conflict', {
          detail: `There is a schedule ${spec.name} already, or there are ${SCHEDULES_MAX} schedules.`,
        })
      return await found(tenantId, id)
    },
    async replace({ tenantId, actor, id, spec }) {
      await found(tenantId, id)
      await check(tenantId, spec)
      const first = nextOf(id, spec, await readClock(db))
      const stored = await audited({ tenantId, actor, id }, 'updated', async (trx) =>
        replaceSchedule(trx, { id, tenantId, spec, ...first }),
      )
      if (!stored) throw new AppError('conflict', { detail: `Another schedule has the name ${spec.name}.` })
      return await found(tenantId, id)
    },
    async remove({ tenantId, actor, id }) {
      if (!(await audited({ tenantId, actor, id }, 'deleted', async (trx) => deleteSchedule(trx, tenantId, id))))
        throw new AppError('not_found')
    },
    async pause({ tenantId, actor, id }) {
      await audited({ tenantId, actor, id }, 'paused', async (trx) => pauseSchedule(trx, tenantId, id, actor))
      return await found(tenantId, id)
    },
    async resume({ tenantId, actor, id }) {
      const next = nextOf(id, await found(tenantId, id), await readClock(db))
      await audited({ tenantId, actor, id }, 'resumed', async (trx) => resumeSchedule(trx, tenantId, id, next))
      return await found(tenantId, id)
    },
    async trigger({ tenantId, actor, id }) {
      const spec = await found(tenantId, id)
      const result = await submit({ id, tenantId, spec }, `schedule/${id}/${newId()}`)
      await audited({ tenantId, actor, id }, 'triggered', async (trx) => {
        await noteTriggered(trx, id, result.id)
        return true
      })
      return result
    },
    async turn() {
      const faults: unknown[] = []
      for (let total = 0; ; ) {
        const due = await claimDue(db, CLAIM_MS, BATCH)
        for (const result of await Promise.allSettled(due.map(fire)))
          if (result.status === 'rejected') faults.push(result.reason)
        total += due.length
        if (due.length === BATCH && total < TURN_MAX) continue
        // One that cannot be served harms no other; that it failed is told.
        if (faults.length > 0) throw faults[0]
        return total
      }
    },
  }
}

const ERROR_MAX = 8000

function calendarFor(spec: Pick<ScheduleSpec, 'cron' | 'timeZone'>): Extract<Calendar, { next: unknown }> {
  const calendar = calendarOf(spec)
  if ('next' in calendar) return calendar
  const { fault, message } = calendar
  throw new AppError('unprocessable', { detail: `${fault}: ${message}`, faults: [{ pointer: `/${fault}`, message }] })
}

function nextOf(id: string, spec: Pick<ScheduleSpec, 'cron' | 'timeZone' | 'jitter'>, after: Date): NextInstant {
  const nextAt = calendarFor(spec).next(after)
  return { nextAt, fireAt: dueAt(id, nextAt, spec) }
}

const outcomeOf = (due: DueSchedule, firing: Firing, missionId: string | null, error: TaskError | null) => ({
  nextAt: firing.nextAt,
  fireAt: dueAt(due.id, firing.nextAt, due.spec),
  bufferedAt: firing.bufferedAt,
  startedAt: missionId === null ? null : firing.start,
  missionId,
  error,
  skipped: firing.skipped || error !== null,
})
