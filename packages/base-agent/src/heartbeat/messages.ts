import type { HeartbeatAnswer } from '@hypercode/contracts'

export type TaskRef = HeartbeatAnswer['lost'][number]

export interface Credentials {
  readonly clientId: string
  readonly clientSecret: string
  readonly instance?: string
}

/** What the worker is started with. It needs nothing else, and no other module of the platform. */
export interface WorkerSettings {
  readonly memory: SharedArrayBuffer
  readonly marginMs: number
  readonly heartbeatUrl: string
  readonly tokenUrl: string
  readonly credentials: Credentials
  readonly incarnation: number
  readonly heartbeatMs: number
  /** The beat while attempts are in flight: a cancel comes back with the next beat and shall not wait for seconds. */
  readonly busyHeartbeatMs: number
}

/** From the main thread to the worker. */
export type ToWorker = { readonly type: 'tasks'; readonly tasks: readonly TaskRef[] }

/** From the worker to the main thread. */
export type FromWorker =
  | { readonly type: 'beat'; readonly answer: HeartbeatAnswer }
  | { readonly type: 'missed'; readonly failures: number; readonly detail: string }
  | { readonly type: 'over'; readonly state: 'lost' | 'fenced'; readonly detail: string }
