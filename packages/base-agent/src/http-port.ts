import { ROUTES } from '@hypercode/contracts'
import type { Artifact } from '@hypercode/contracts'
import { ApiError } from '@hypercode/client'
import type { HyperClient } from '@hypercode/client'
import type { Attempt } from './attempt.ts'
import { Backoff } from './backoff.ts'
import { AttemptStopped, RetryableError, TerminalError } from './errors.ts'
import type { Lease } from './heartbeat/lease.ts'
import { isFenced, isStale, retryDelayMs } from './platform-errors.ts'
import type { TaskPort } from './task-port.ts'

export interface HttpPortOptions {
  readonly client: HyperClient
  readonly attempt: Attempt
  readonly incarnation: number
  readonly lease: Lease
  readonly onFenced: () => void
}

/** The port of an attempt to the platform over HTTP. */
export function createHttpPort(options: HttpPortOptions): TaskPort {
  const { client, attempt, incarnation } = options
  const { taskId, missionId } = attempt.task
  const fence = { incarnation, attempt: attempt.task.attempt }
  const { signal, dead } = attempt
  const own = <T>(call: () => Promise<T>): Promise<T> => translated(options, () => persistent(call, signal))

  return {
    assertLive: () => {
      if (!options.lease.alive) attempt.stop('lease_lost')
      dead.throwIfAborted()
    },
    recordStep: async ({ name, requestHash, response }) => {
      const body = { ...fence, response, ...(requestHash !== undefined && { requestHash }) }
      const params = { id: taskId, name }
      const answer = await own(() => client.call(ROUTES.recordStep, { params, body, signal: dead }))
      return answer.body.response
    },
    putEffect: async (name, effect) => {
      const body = { ...fence, ...effect }
      const params = { id: taskId, name }
      return (await own(() => client.call(ROUTES.putEffect, { params, body, signal: dead }))).body
    },
    reportProgress: async (fraction, message) => {
      const body = { ...fence, fraction, ...(message !== undefined && { message }) }
      const params = { id: taskId }
      await translated(options, () =>
        client.call(ROUTES.reportProgress, { params, body, signal: dead, timeoutMs: 2_000 }),
      )
    },
    recordUsage: async (usage) => {
      const body = { ...fence, ...usage }
      await own(() => client.call(ROUTES.recordUsage, { params: { id: taskId }, body, signal: dead }))
    },
    streamOutput: async (text) => {
      const body = { ...fence, text }
      const params = { id: taskId }
      await translated(options, () =>
        client.call(ROUTES.streamOutput, { params, body, signal: dead, timeoutMs: 5_000 }),
      )
    },
    planTasks: async (name, tasks) => {
      const body = { ...fence, taskId, name, tasks: [...tasks] }
      await own(() => client.call(ROUTES.planTasks, { params: { id: missionId }, body, signal: dead }))
    },
    readContext: async (key) => {
      const params = { id: missionId, key }
      const read = async () => {
        try {
          return (await client.call(ROUTES.getContext, { params, signal })).body
        } catch (error) {
          if (error instanceof ApiError && error.status === 404) return undefined
          throw error
        }
      }
      const entry = await own(read)
      return entry === undefined ? undefined : { value: entry.value, version: entry.version }
    },
    writeContext: async (key, value, ifVersion) => {
      const body = { ...fence, value, ...(ifVersion !== undefined && { ifVersion }) }
      const answer = await own(() =>
        client.call(ROUTES.putTaskContext, { params: { id: taskId, key }, body, signal: dead }),
      )
      return answer.body.version
    },
    putArtifact: async (name, bytes, mediaType) => {
      const request = { params: { id: taskId, name }, query: fence, body: bytes, contentType: mediaType, signal: dead }
      const answer = await own(() => client.raw(ROUTES.putArtifact, request))
      return JSON.parse(answer.body.toString('utf8')) as Artifact
    },
    listArtifacts: () => own(() => listAll(client, missionId, signal)),
    getArtifact: async (artifact) => {
      const params = { id: artifact.taskId, name: artifact.name }
      const answer = await own(() => client.raw(ROUTES.getArtifact, { params, signal }))
      return answer.body
    },
  }
}

async function listAll(client: HyperClient, missionId: string, signal: AbortSignal): Promise<readonly Artifact[]> {
  const found: Artifact[] = []
  let cursor: string | undefined
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const query = { limit: 500, ...(cursor !== undefined && { cursor }) }
    const { body } = await client.call(ROUTES.listMissionArtifacts, { params: { id: missionId }, query, signal })
    found.push(...body.items)
    cursor = body.nextCursor
    if (cursor === undefined) return found
  }
  throw new TerminalError(`the mission has more than ${found.length} artifacts`)
}

/** Repeats a call that can be repeated until it is answered, the attempt is stopped, or the platform is away for too long. */
async function persistent<T>(call: () => Promise<T>, signal: AbortSignal): Promise<T> {
  const backoff = new Backoff({ firstMs: 100, maxMs: 5_000 })
  const untilMs = performance.now() + AWAY_MAX_MS
  for (;;) {
    try {
      return await call()
    } catch (error) {
      signal.throwIfAborted()
      const delayMs = retryDelayMs(error)
      if (delayMs === undefined) throw error
      if (performance.now() + delayMs > untilMs) {
        throw new RetryableError('the platform did not answer for two minutes', { code: 'platform_away', cause: error })
      }
      await backoff.wait(signal, delayMs)
      signal.throwIfAborted()
    }
  }
}

/** Turns what the platform refuses into what authors know. */
async function translated<T>({ attempt, onFenced }: HttpPortOptions, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    attempt.dead.throwIfAborted()
    if (isFenced(error)) {
      onFenced()
      throw new AttemptStopped('fenced')
    }
    // An unknown effect ends the attempt too: the task is paused.
    if (isStale(error) || (error instanceof ApiError && error.code === 'effect_unknown')) {
      attempt.stop('lease_lost')
      throw new AttemptStopped('lease_lost')
    }
    if (error instanceof ApiError && error.status < 500) {
      throw new TerminalError(error.message, error.problem?.fix, { code: error.code, cause: error })
    }
    throw error
  }
}

const AWAY_MAX_MS = 120_000
const PAGES_MAX = 100
