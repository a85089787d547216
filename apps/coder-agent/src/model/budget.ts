import { TerminalError } from '@hypercode/base-agent'
import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import type { Usage } from './turn.ts'

/** What a task may spend. A task names its own; the configuration caps each of them. */
export const Limits = Type.Object(
  {
    turns: Type.Integer({ minimum: 1, maximum: 1000, description: 'answers of the model' }),
    tokens: Type.Integer({ minimum: 1, maximum: 100_000_000, description: 'in and out together' }),
    usd: Type.Number({ minimum: 0, maximum: 10_000 }),
    ms: Type.Integer({
      minimum: 1,
      maximum: 86_400_000,
      description: 'of the model and of commands, without waiting for an agent',
    }),
  },
  { additionalProperties: false },
)
export type Limits = Static<typeof Limits>

export interface Spent {
  readonly turns: number
  readonly inputTokens: number
  readonly outputTokens: number
  readonly usd: number
  readonly ms: number
  /** The model has not said it for every turn. */
  readonly estimated: boolean
}

/**
 * Counts what a task spends, from its journal: an attempt that goes on where another one ended has spent what that one had.
 */
export class Budget {
  readonly #limits: Limits
  #spent: Spent = { turns: 0, inputTokens: 0, outputTokens: 0, usd: 0, ms: 0, estimated: false }

  constructor(caps: Limits, asked: Partial<Limits> = {}) {
    this.#limits = {
      turns: Math.min(caps.turns, asked.turns ?? Infinity),
      tokens: Math.min(caps.tokens, asked.tokens ?? Infinity),
      usd: Math.min(caps.usd, asked.usd ?? Infinity),
      ms: Math.min(caps.ms, asked.ms ?? Infinity),
    }
  }

  get limits(): Limits {
    return this.#limits
  }

  get spent(): Spent {
    return this.#spent
  }

  get msLeft(): number {
    return Math.max(1, this.#limits.ms - this.#spent.ms)
  }

  get tokensLeft(): number {
    return Math.max(1, this.#limits.tokens - this.#spent.inputTokens - this.#spent.outputTokens)
  }

  addTurn({ usage, ms }: { readonly usage: Usage; readonly ms: number }): void {
    const { turns, inputTokens, outputTokens, usd, estimated } = this.#spent
    this.#spent = {
      turns: turns + 1,
      inputTokens: inputTokens + usage.inputTokens,
      outputTokens: outputTokens + usage.outputTokens,
      usd: usd + usage.usd,
      ms: this.#spent.ms + ms,
      estimated: estimated || usage.estimated === true,
    }
  }

  addTime(ms: number): void {
    this.#spent = { ...this.#spent, ms: this.#spent.ms + ms }
  }

  /** @throws {TerminalError} when there is nothing left for another turn */
  assertLeft(): void {
    const { turns, inputTokens, outputTokens, usd, ms } = this.#spent
    const limits = this.#limits
    if (turns >= limits.turns) throw this.exceeded('turns')
    if (inputTokens + outputTokens >= limits.tokens) throw this.exceeded('tokens')
    if (usd > 0 && usd >= limits.usd) throw this.exceeded('usd')
    if (ms >= limits.ms) throw this.exceeded('ms')
  }

  exceeded(limit: keyof Limits): TerminalError {
    const { turns, inputTokens, outputTokens, usd, ms } = this.#spent
    const spent = `${turns} turns, ${inputTokens} tokens in, ${outputTokens} out, ${usd.toFixed(4)} USD, ${ms} ms`
    return new TerminalError(`the limit of ${this.#limits[limit]} ${limit} is reached`, `spent: ${spent}`, {
      code: `limit_${limit}`,
    })
  }
}
