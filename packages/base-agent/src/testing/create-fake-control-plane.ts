import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { newId } from '@hypercode/contracts'
import type { ErrorCode, OperationId, Task } from '@hypercode/contracts'
import { createService } from '@hypercode/http'
import { createLogger, createMetrics } from '@hypercode/telemetry'
import type { AgentSettings } from '../settings.ts'
import { FakeFaults } from './fake-faults.ts'
import type { Received } from './fake-faults.ts'
import type { FakeInstance } from './fake-instance.ts'
import { FakePlatform } from './fake-platform.ts'
import { addRoutes } from './fake-routes.ts'
import { FakeTask } from './fake-task.ts'
import type { QueuedTask } from './fake-task.ts'
import { createTokenIssuer } from './fake-tokens.ts'

export interface FakeOptions {
  /** Default 3000. */
  readonly leaseMs?: number
  /** Default a third of the lease. */
  readonly heartbeatMs?: number
}

export interface FakeControlPlane {
  readonly url: string
  /** What `startAgent` needs to reach it. */
  readonly settings: Pick<AgentSettings, 'url' | 'clientId' | 'clientSecret'>
  /** What `serve` needs to reach it, as environment variables. */
  readonly env: Readonly<Record<string, string>>
  /** Queues a task and answers its id. */
  queue(task: QueuedTask): string
  /** Everything that is known of a task. */
  task(id: string): FakeTask
  cancel(taskId: string): void
  /** Gives a signal to a task; it is kept when the task does not wait for it. */
  signal(taskId: string, name: string, payload?: unknown): void
  /** Decides the approval that a task waits for. */
  decide(taskId: string, decision: { approved: boolean; data?: unknown; comment?: string }): void
  /** The registered instances. */
  instances(): readonly FakeInstance[]
  /** Makes every registered agent the old incarnation, as another process with its identity would. */
  fence(): void
  /** Everything that came in, or the calls of one operation. */
  received(operationId?: OperationId): readonly Received[]
  /** Does what the next calls of an operation ask for, and cuts the connection before they get their answer. */
  cutReplies(operationId: OperationId, times?: number): void
  /** Does what the next calls of an operation ask for, and never answers them. */
  stall(operationId: OperationId, times?: number): void
  /** Refuses the next calls of an operation. */
  refuse(operationId: OperationId, code: ErrorCode, times?: number): void
  /** Cuts every call from now on, until `comeBack`. */
  goAway(): void
  comeBack(): void
  /** Resolves when the task has ended. */
  ended(taskId: string, timeoutMs?: number): Promise<Task>
  /** Resolves with the first value of `look` that is neither false nor undefined. Throws `what` after `timeoutMs` (15 s). */
  until<T>(what: string, look: () => T | false | undefined, timeoutMs?: number): Promise<T>
  close(): Promise<void>
}

/**
 * A control plane in memory behind a real HTTP server on 127.0.0.1, for tests of agents: it registers, leases, fences and
 * journals as the platform does, and goes wrong when it is told to.
 */
export async function createFakeControlPlane(options: FakeOptions = {}): Promise<FakeControlPlane> {
  const leaseMs = options.leaseMs ?? 3_000
  const platform = new FakePlatform({ leaseMs, heartbeatMs: options.heartbeatMs ?? Math.ceil(leaseMs / 3) })
  const faults = new FakeFaults()
  const issuer = createTokenIssuer(300)
  const client = { clientId: newId(), clientSecret: randomBytes(32).toString('base64url') }
  const app = await createService({
    name: 'fake-control-plane',
    version: '0.0.0',
    logger: createLogger({ service: 'fake-control-plane', level: 'silent' }),
    metrics: createMetrics('fake-control-plane', { processMetrics: false }),
    auth: issuer.auth,
  })
  faults.install(app)
  addRoutes(app, platform, issuer, client)
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const sweeping = setInterval(() => platform.sweep(), SWEEP_MS)
  const taskOf = (id: string): FakeTask => {
    const task = platform.tasks.get(id)
    if (task === undefined) throw new Error(`there is no task ${id}`)
    return task
  }

  return {
    url,
    settings: { url, ...client },
    env: {
      HYPERCODE_URL: url,
      HYPERCODE_CLIENT_ID: client.clientId,
      HYPERCODE_CLIENT_SECRET: client.clientSecret,
    },
    queue: (queued) => {
      const task = new FakeTask(queued)
      platform.add(task)
      return task.id
    },
    task: taskOf,
    cancel: (taskId) => platform.cancel(taskId),
    signal: (taskId, name, payload = null) => {
      taskOf(taskId).signal(name, payload)
      platform.wake()
    },
    decide: (taskId, decision) => {
      taskOf(taskId).decide(decision)
      platform.wake()
    },
    instances: () => [...platform.instances.values()],
    fence: () => {
      for (const instance of platform.instances.values()) platform.fence(instance)
    },
    received: (id) => faults.received.filter(({ operationId }) => id === undefined || operationId === id),
    cutReplies: (operationId, times = 1) => faults.cut(operationId, times),
    stall: (operationId, times = 1) => faults.stall(operationId, times),
    refuse: (operationId, code, times = 1) => faults.refuse(operationId, code, times),
    goAway: () => {
      faults.away = true
      app.server.closeAllConnections()
    },
    comeBack: () => {
      faults.away = false
    },
    ended: async (id, timeoutMs) =>
      await until(`the end of task ${id}`, () => !taskOf(id).isOpen && taskOf(id).view(), timeoutMs),
    until,
    close: async () => {
      clearInterval(sweeping)
      await app.close()
    },
  }
}

async function until<T>(what: string, look: () => T | false | undefined, timeoutMs = 15_000): Promise<T> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const seen = look()
    if (seen !== false && seen !== undefined) return seen
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms for ${what}`)
    await sleep(LOOK_MS)
  }
}

const SWEEP_MS = 50
const LOOK_MS = 10
