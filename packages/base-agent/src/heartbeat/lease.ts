/**
 * What the main thread and the heartbeat worker know together, in shared memory, so that each can ask at any time, also
 * while the other one is busy.
 * - L1: the lease counts from the moment at which a beat was sent, never from its answer: we end no later than the platform.
 * - L2: it is over `marginMs` before the platform says so; what is begun then could end after it.
 * - L3: once over it stays over; only a new registration makes a new lease.
 */
export class Lease {
  readonly memory: SharedArrayBuffer
  readonly #cells: BigInt64Array
  readonly #marginMs: number

  /** @param marginMs see L2; `marginOf(leaseMs)` */
  constructor(marginMs: number, memory = new SharedArrayBuffer(CELLS * BigInt64Array.BYTES_PER_ELEMENT)) {
    this.memory = memory
    this.#cells = new BigInt64Array(memory)
    this.#marginMs = marginMs
  }

  /** May something new be begun under this lease? */
  get alive(): boolean {
    return this.state === 'held' && this.remainingMs > 0
  }

  get state(): 'held' | 'lost' | 'fenced' {
    return STATES[Number(Atomics.load(this.#cells, STATE))] ?? 'lost'
  }

  /** Milliseconds until the lease is over; negative once it is. */
  get remainingMs(): number {
    return Number(Atomics.load(this.#cells, EXPIRES)) - this.#marginMs - monotonicMs()
  }

  /** A call that was sent at `sentAtMs` was answered with a lease of `leaseMs`. */
  renew(sentAtMs: number, leaseMs: number): void {
    if (this.state === 'held') Atomics.store(this.#cells, EXPIRES, BigInt(Math.floor(sentAtMs + leaseMs))) // L1
  }

  /** L3; the first reason stays, but being fenced is final and wins. */
  end(state: 'lost' | 'fenced'): void {
    if (state === 'fenced') Atomics.store(this.#cells, STATE, FENCED)
    else Atomics.compareExchange(this.#cells, STATE, HELD, LOST)
  }

  /** The main thread turns its event loop. */
  tick(): void {
    Atomics.store(this.#cells, TICK, BigInt(monotonicMs()))
  }

  /** For how many milliseconds the main thread has failed to turn its event loop. */
  get loopLagMs(): number {
    return Math.max(0, monotonicMs() - Number(Atomics.load(this.#cells, TICK)) - TICK_MS)
  }

  /** Number of the next beat of this incarnation; also a worker that replaces a crashed one goes on from here. */
  nextSeq(): number {
    return Number(Atomics.add(this.#cells, SEQ, 1n)) + 1
  }
}

/** How often the main thread ticks. */
export const TICK_MS = 100

/** Two seconds, less for the short leases of tests. */
export const marginOf = (leaseMs: number): number => Math.min(2_000, Math.floor(leaseMs / 4))

/** A clock that never jumps and that all threads of the process share. */
export const monotonicMs = (): number => Number(process.hrtime.bigint() / 1_000_000n)

const STATES = ['held', 'lost', 'fenced'] as const
const [HELD, LOST, FENCED] = [0n, 1n, 2n]
const [STATE, EXPIRES, TICK, SEQ] = [0, 1, 2, 3] as const
const CELLS = 4
