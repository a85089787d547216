/**
 * Brings what agents write into the database, so that every replica can show it, also after the machine is gone.
 *
 * L1 A line is kept once: the place that was read to moves with the lines, and only from where it was.
 * L2 One reader of a launch at a time in this process; who comes meanwhile waits for it.
 */
import type { Db } from '@hypercode/db'
import type { Logger } from '@hypercode/telemetry'
import type { FactoryInstance } from '../domain/factory-instance.ts'
import type { Driver, Handle } from '../drivers/driver.ts'
import { appendLines } from '../store/logs.ts'

/** An instance with a process whose output can be read. */
export interface LoggedInstance {
  readonly id: string
  readonly tenantId: string
  readonly launchId: string
  readonly handle: Handle
  readonly driver: Driver
  /** How far the database says that it was read. */
  readonly logCursor: number
}

export const loggedOf = (instance: FactoryInstance, driver: Driver, handle: Handle): LoggedInstance => ({
  id: instance.id,
  tenantId: instance.tenantId,
  launchId: handle.launchId,
  handle,
  driver,
  logCursor: instance.logCursor,
})

export interface LogPump {
  /** One page of each. */
  pump(instances: readonly LoggedInstance[]): Promise<void>
  /** Everything that is there, within bounds. Never throws: output is worth less than what is waiting for it. */
  drain(instance: LoggedInstance): Promise<void>
}

export interface LogPumpOptions {
  readonly db: Db
  readonly log: Logger
  /** Lines that are kept of one instance. */
  readonly linesMax: number
}

const PAGE = 500
const DRAIN_PAGES_MAX = 20
const LINE_CHARS_MAX = 16_384

export function createLogPump({ db, log, linesMax }: LogPumpOptions): LogPump {
  /** How far this process has read, by launch; the database has the last word. */
  const cursors = new Map<string, number>()
  const reading = new Map<string, Promise<boolean>>()

  /** True when there may be more. */
  const readPage = async ({ id, tenantId, launchId, handle, driver, logCursor }: LoggedInstance): Promise<boolean> => {
    const cursor = Math.max(logCursor, cursors.get(launchId) ?? 0)
    const page = await driver.readLogs(handle, cursor, PAGE)
    if (page.cursor === cursor) return false
    const source = { instanceId: id, tenantId, launchId, cursor }
    const kept = await appendLines(db, source, page.lines.map(storable), page.cursor, linesMax)
    if (kept) cursors.set(launchId, page.cursor)
    else cursors.delete(launchId)
    return kept && page.lines.length > 0
  }

  const next = async (instance: LoggedInstance): Promise<boolean> => {
    const { launchId } = instance
    const begun = reading.get(launchId) ?? readPage(instance)
    reading.set(launchId, begun)
    try {
      return await begun
    } finally {
      reading.delete(launchId)
    }
  }

  return {
    async pump(instances) {
      const live = new Set(instances.map((one) => one.launchId))
      for (const launchId of cursors.keys()) if (!live.has(launchId)) cursors.delete(launchId)
      const results = await Promise.allSettled(instances.map(next))
      const failed = results.filter((result) => result.status === 'rejected')
      if (failed.length > 0) log.warn({ err: failed[0]?.reason as unknown, failed: failed.length }, 'output not read')
    },
    async drain(instance) {
      try {
        for (let page = 0; page < DRAIN_PAGES_MAX; page += 1) if (!(await next(instance))) return
      } catch (err) {
        log.warn({ err, instanceId: instance.id }, 'the last output of an instance was not read')
      }
    },
  }
}

/** Postgres takes neither NUL nor half a character. */
const storable = (line: string): string => line.slice(0, LINE_CHARS_MAX).replaceAll('\u0000', '').toWellFormed()
