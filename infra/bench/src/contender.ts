/** What is compared: a system that can do the four shapes of work, and says when the result of each is durable. */
export interface Contender {
  /** Submits so many missions of one task as fast as its API allows; resolves when the last result is stored. */
  burst(missions: number): Promise<void>
  /** A mission of one task; resolves when the submitter knows the result. */
  single(): Promise<void>
  /** Three tasks in a row, each with the payload that the one before gave. */
  chain(): Promise<void>
  /** One task, then `FAN_WIDTH` side by side, then one that joins them. */
  fan(): Promise<void>
  /** What it was set to, for the report: in the words of its own documentation. */
  readonly settings: Readonly<Record<string, string>>
  stop(): Promise<void>
}

/** What a contender may ask for. */
export interface Ground {
  /** Starts Postgres and Redis for this contender alone: straight to Postgres, as the owner of everything. */
  readonly openServers: () => Promise<{ readonly databaseUrl: string; readonly redisUrl: string }>
  /** An empty folder on the same disk as the data of those servers. */
  readonly dir: string
  /** What tells two entries of one system apart. */
  readonly variant: string
}

/** What the file of an entry exports as `start`. */
export type StartContender = (ground: Ground) => Promise<Contender>

/** What every task is given and gives. */
export const PAYLOAD = 'x'.repeat(200)
export const FAN_WIDTH = 100
/** Tasks of one fan. */
export const FAN_TASKS = FAN_WIDTH + 2

/** Every task of every contender does this and nothing else. */
export const noop = (): { ok: boolean; payload: string } => ({ ok: true, payload: PAYLOAD })

/** Fails a measurement whose results are not what was asked for. */
export function expectPayload(output: unknown): void {
  const payload = typeof output === 'object' && output !== null && 'payload' in output ? output.payload : undefined
  if (payload !== PAYLOAD) throw new Error(`the result is ${JSON.stringify(output)?.slice(0, 200)}`)
}
