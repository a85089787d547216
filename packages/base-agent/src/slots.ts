/** The tasks that one process works on at once. A slot is in use until its handler has ended and its report is taken. */
export class Slots {
  readonly total: number
  #used = 0
  #freed = Promise.withResolvers<void>()

  constructor(total: number) {
    this.total = total
  }

  get used(): number {
    return this.#used
  }

  get free(): number {
    return Math.max(0, this.total - this.#used)
  }

  take(): void {
    this.#used += 1
  }

  release(): void {
    this.#used -= 1
    this.#freed.resolve()
    this.#freed = Promise.withResolvers<void>()
  }

  /** Resolves when the next slot gets free. */
  get freed(): Promise<void> {
    return this.#freed.promise
  }
}
