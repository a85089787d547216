import type { AgentCard, Fault } from '@hypercode/contracts'
import type { Static, TSchema } from '@sinclair/typebox'
import { defineAgent } from './define-agent.ts'
import type { Agent, AgentOptions } from './define-agent.ts'
import type { TaskContext } from './task-context.ts'

/**
 * An agent as a class, for authors who like inheritance: pass the profile to `super` and write `onTask`. It is the same
 * agent that `defineAgent` makes.
 */
export abstract class BaseAgent<I extends TSchema = TSchema, O extends TSchema = TSchema> implements Agent<I, O> {
  readonly #agent: Agent<I, O>

  /** @throws {AgentDefinitionError} as `defineAgent` does */
  constructor(options: AgentOptions<I, O>) {
    this.#agent = defineAgent<I, O>({ ...options, onTask: (ctx, input) => this.onTask(ctx, input) })
  }

  /** Works on one attempt of one task, see `AgentDefinition`. */
  abstract onTask(ctx: TaskContext, input: Static<I>): Static<O> | Promise<Static<O>>

  get card(): AgentCard {
    return this.#agent.card
  }

  get slots(): number {
    return this.#agent.slots
  }

  get input(): I {
    return this.#agent.input
  }

  get output(): O {
    return this.#agent.output
  }

  inputFaults(value: unknown): Fault[] {
    return this.#agent.inputFaults(value)
  }

  outputFaults(value: unknown): Fault[] {
    return this.#agent.outputFaults(value)
  }

  handle(ctx: TaskContext, input: Static<I>): Promise<Static<O>> {
    return this.#agent.handle(ctx, input)
  }
}
