import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { ApiError } from '@hypercode/client'
import type { HyperClient } from '@hypercode/client'
import { ROUTES } from '@hypercode/contracts'
import type { Mission } from '@hypercode/contracts'
import type { HistoryRecord } from '../checker/client-history.ts'

type Asked = Pick<HistoryRecord, 'op' | 'key' | 'hash' | 'marker' | 'missionId'>

/** A busy machine answers late; a try that is given up too soon only adds to its work. */
const TRY_MS = 10_000

/** A client that writes down every call when it begins and when it is answered, with the monotonic and the wall clock. */
export class RecordingClient {
  readonly records: HistoryRecord[] = []
  readonly #client: HyperClient
  readonly #file: ReturnType<typeof createWriteStream>
  #calls = 0

  constructor(client: HyperClient, file: string) {
    this.#client = client
    this.#file = createWriteStream(file, { flags: 'a' })
  }

  /** Submits under one key until it is acknowledged or the time is over; the mission's id, or undefined. */
  async submit(key: string, manifest: object, untilMs: number): Promise<string | undefined> {
    const body = { manifest: manifest as never, input: {}, labels: { marker: key } }
    const hash = createHash('sha256').update(JSON.stringify(body)).digest('hex')
    while (performance.now() < untilMs) {
      const mission = await this.#call({ op: 'submit', key, hash, marker: key }, async () => {
        const answer = await this.#client.call(ROUTES.submitMission, { body, idempotencyKey: key, timeoutMs: TRY_MS })
        return answer.body
      })
      if (mission !== undefined) return mission.id
      await sleep(250)
    }
    return undefined
  }

  /** One submit, not repeated: what the platform answers while something is down. `none` is no answer at all. */
  async probe(key: string, manifest: object): Promise<{ status: string; retryAfter: boolean }> {
    const body = { manifest: manifest as never, input: {} }
    try {
      const answer = await this.#client.call(ROUTES.submitMission, { body, idempotencyKey: key, timeoutMs: TRY_MS })
      return { status: String(answer.status), retryAfter: false }
    } catch (error) {
      if (error instanceof ApiError)
        return { status: String(error.status), retryAfter: error.retryAfterMs !== undefined }
      return { status: 'none', retryAfter: false }
    }
  }

  async get(missionId: string, marker?: string): Promise<Mission | undefined> {
    const asked = { op: 'get' as const, missionId, ...(marker !== undefined && { marker }) }
    return await this.#call(asked, async () => {
      const answer = await this.#client.call(ROUTES.getMission, { params: { id: missionId }, timeoutMs: TRY_MS })
      return answer.body
    })
  }

  async cancel(missionId: string): Promise<Mission | undefined> {
    return await this.#call({ op: 'cancel', missionId }, async () => {
      const answer = await this.#client.call(ROUTES.cancelMission, { params: { id: missionId }, timeoutMs: TRY_MS })
      return answer.body
    })
  }

  /** Says of an unknown effect whether it has happened, as an operator does. False when it was not taken, or nobody knows. */
  async resolve(taskId: string, name: string, done: boolean): Promise<boolean> {
    const body = { done, ...(done && { response: true }) }
    try {
      await this.#client.call(ROUTES.resolveEffect, { params: { id: taskId, name }, body, timeoutMs: TRY_MS })
      return true
    } catch (error) {
      if (error instanceof ApiError && error.status < 500 && error.status !== 409) throw error
      return false // it is asked again
    }
  }

  async close(): Promise<void> {
    await this.#client.close()
    await new Promise((resolve) => this.#file.end(resolve))
  }

  async #call(asked: Asked, work: () => Promise<Mission>): Promise<Mission | undefined> {
    this.#calls += 1
    const call = this.#calls
    const write = (more: Pick<HistoryRecord, 'phase'> & Partial<HistoryRecord>): void => {
      const record = { call, op: asked.op, ...more, monoMs: performance.now(), atMs: Date.now() }
      this.records.push(record)
      // A storm that failed leaves a load behind that still asks.
      if (this.#file.writable) this.#file.write(`${JSON.stringify(record)}\n`)
    }
    write({ ...asked, phase: 'invoke' })
    try {
      const mission = await work()
      const { id, state, version, cancelRequestedAt, labels } = mission
      const marker = labels['marker']
      const seen = { missionId: id, state, version, canceling: cancelRequestedAt !== undefined }
      write({
        phase: 'ok',
        ...(asked.key !== undefined && { key: asked.key }),
        ...seen,
        ...(marker !== undefined && { marker }),
      })
      return mission
    } catch (error) {
      const refused = error instanceof ApiError && error.status < 500
      write({ phase: refused ? 'fail' : 'unknown', ...(asked.key !== undefined && { key: asked.key }) })
      // No fault makes a manifest wrong: it is the storm's own mistake.
      if (error instanceof ApiError && error.status === 422) throw error
      return undefined
    }
  }
}
