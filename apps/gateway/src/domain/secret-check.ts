/**
 * Checks client secrets without letting anybody buy much CPU with a guess.
 *
 * C1 A check that is not remembered costs one scrypt run, also for a client that does not exist: both answer the same after the same
 *    work.
 * C2 At most `parallel` runs go on at once and at most `waitingMax` wait; one more is refused with 503.
 * C3 Only a secret that was right is remembered, for at most a minute, under a keyed hash that includes the stored hash: whoever reads
 *    this process's memory finds no secret, and a secret that was replaced is not remembered any more.
 */
import { createHmac, randomBytes } from 'node:crypto'
import { createLane, hashSecret, verifySecret } from '@hypercode/db'
import { AppError } from '@hypercode/http'
import { LRUCache } from 'lru-cache'

export interface SecretCheck {
  /** `stored` is undefined for a client that does not exist, or may not log in any more: then the answer is false. */
  verify(clientId: string, secret: string, stored: Buffer | undefined): Promise<boolean>
  /** Hash of a new secret, made in the same queue. */
  hash(secret: string): Promise<Buffer>
  /** scrypt runs since the start. */
  readonly runs: number
}

export interface SecretCheckOptions {
  /** Default 2: node has four threads for this kind of work, and files and names need some too. */
  parallel?: number
  /** Default 64, which is about a second of waiting. */
  waitingMax?: number
  rememberMs?: number
}

const REMEMBERED_MAX = 10_000

export function createSecretCheck(options: SecretCheckOptions = {}): SecretCheck {
  const { parallel = 2, waitingMax = 64, rememberMs = 60_000 } = options
  const key = randomBytes(32)
  const decoy = randomBytes(48)
  const remembered = new LRUCache<string, true>({ max: REMEMBERED_MAX, ttl: rememberMs })
  const checking = new Map<string, Promise<boolean>>()
  let runs = 0

  const lane = createLane<() => Promise<unknown>, unknown>({
    name: 'scrypt',
    maxBatch: 1,
    lanes: parallel,
    maxWaiting: waitingMax,
    onFull: () => new AppError('unavailable', { detail: 'Too many secrets wait to be checked.', retryAfterMs: 1000 }),
    run: async (jobs) => {
      runs += 1
      return await Promise.all(jobs.map(async (job) => await job()))
    },
  })

  return {
    async verify(clientId, secret, stored) {
      const against = stored ?? decoy
      const mark = createHmac('sha256', key).update(`${clientId}\0${secret}\0`).update(against).digest('base64')
      if (remembered.get(mark) === true) return true
      // Many processes of one client come at once after a restart; they share one run.
      let check = checking.get(mark)
      if (check === undefined) {
        check = lane.submit(async () => await verifySecret(secret, against)) as Promise<boolean>
        checking.set(mark, check)
        const forget = (): boolean => checking.delete(mark)
        check.then(forget, forget)
      }
      const right = (await check) && stored !== undefined
      if (right) remembered.set(mark, true)
      return right
    },
    hash: async (secret) => (await lane.submit(async () => await hashSecret(secret))) as Buffer,
    get runs() {
      return runs
    },
  }
}
