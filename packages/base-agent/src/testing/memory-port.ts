import { createHash } from 'node:crypto'
import { newId } from '@hypercode/contracts'
import type { Artifact } from '@hypercode/contracts'
import type { Attempt } from '../attempt.ts'
import { TerminalError } from '../errors.ts'
import type { StepResult, TaskPort } from '../task-port.ts'
import type { SharedValue } from '../task-context.ts'
import type { NamedUsage } from '../usage.ts'

export interface MemoryArtifact {
  readonly mediaType: string
  readonly bytes: Buffer
}

/** Keeps what an attempt tells, instead of sending it. */
export class MemoryPort implements TaskPort {
  readonly recorded: Record<string, unknown> = {}
  readonly stored = new Map<string, MemoryArtifact>()
  /** What model calls took, by key. */
  readonly used = new Map<string, NamedUsage>()
  /** What the tasks of the mission share. */
  readonly shared = new Map<string, SharedValue>()
  readonly #attempt: Attempt
  readonly #others: { readonly artifact: Artifact; readonly bytes: Buffer }[]

  constructor(attempt: Attempt, artifacts: readonly { taskKey: string; name: string; data: string | Uint8Array }[]) {
    this.#attempt = attempt
    this.#others = artifacts.map(({ taskKey, name, data }) => {
      const bytes = Buffer.from(data)
      return { artifact: this.#describe(newId(), taskKey, name, bytes, 'application/octet-stream'), bytes }
    })
  }

  assertLive(): void {
    this.#attempt.dead.throwIfAborted()
  }

  async recordStep({ name, response }: StepResult): Promise<unknown> {
    this.recorded[name] = response
    return response
  }

  /** The effects that were done, with what they answered, by name. */
  readonly effects: Record<string, unknown> = {}

  async putEffect(
    name: string,
    { state, response }: Parameters<TaskPort['putEffect']>[1],
  ): ReturnType<TaskPort['putEffect']> {
    if (state === 'done') this.effects[name] = response
    return { state, response }
  }

  async reportProgress(): Promise<void> {}

  async recordUsage(usage: NamedUsage): Promise<void> {
    if (!this.used.has(usage.key)) this.used.set(usage.key, usage)
  }

  async streamOutput(): Promise<void> {}

  async planTasks(): Promise<void> {}

  async readContext(key: string): Promise<SharedValue | undefined> {
    return this.shared.get(key)
  }

  async writeContext(key: string, value: unknown, ifVersion: number | undefined): Promise<number> {
    const before = this.shared.get(key)?.version ?? 0
    if (ifVersion !== undefined && ifVersion !== before)
      throw new TerminalError(`"${key}" is of version ${before}`, undefined, { code: 'version_mismatch' })
    this.shared.set(key, { value, version: before + 1 })
    return before + 1
  }

  async putArtifact(name: string, bytes: Buffer, mediaType: string): Promise<Artifact> {
    this.stored.set(name, { bytes, mediaType })
    const { taskId, key } = this.#attempt.task
    return this.#describe(taskId, key, name, bytes, mediaType)
  }

  async listArtifacts(): Promise<readonly Artifact[]> {
    const { taskId, key } = this.#attempt.task
    const own = [...this.stored].map(([name, { bytes, mediaType }]) =>
      this.#describe(taskId, key, name, bytes, mediaType),
    )
    return [...this.#others.map(({ artifact }) => artifact), ...own]
  }

  async getArtifact({ taskId, name }: Artifact): Promise<Buffer> {
    const found =
      taskId === this.#attempt.task.taskId
        ? this.stored.get(name)
        : this.#others.find(({ artifact }) => artifact.taskId === taskId && artifact.name === name)
    if (found === undefined) throw new TerminalError(`there is no artifact ${name}`)
    return found.bytes
  }

  #describe(taskId: string, taskKey: string, name: string, bytes: Buffer, mediaType: string): Artifact {
    return {
      id: newId(),
      taskId,
      taskKey,
      name,
      mediaType,
      sizeBytes: bytes.byteLength,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      attempt: this.#attempt.task.attempt,
      createdAt: new Date().toISOString(),
    }
  }
}
