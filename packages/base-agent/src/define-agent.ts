import type { AgentCard, Fault } from '@hypercode/contracts'
import type { Static, TSchema } from '@sinclair/typebox'
import { buildCard } from './card/build-card.ts'
import type { AgentProfile } from './card/build-card.ts'
import { cardFaults } from './card/card-faults.ts'
import { AgentDefinitionError } from './errors.ts'
import { compileCheck } from './schema-check.ts'
import type { Check } from './schema-check.ts'
import type { TaskContext } from './task-context.ts'

export interface AgentOptions<I extends TSchema, O extends TSchema> extends AgentProfile {
  /** Tasks that one process works on at once, 1 to 1000; the environment can set another number. Default 1. */
  readonly slots?: number
  /** Schema of what a task brings; it types `input`. */
  readonly input: I
  /** Schema of what `onTask` returns; it types the return value. */
  readonly output: O
}

export interface AgentDefinition<I extends TSchema, O extends TSchema> extends AgentOptions<I, O> {
  /** Works on one attempt of one task. Its input fits the schema; what it returns is checked. */
  onTask(ctx: TaskContext, input: Static<I>): Static<O> | Promise<Static<O>>
}

/** An agent that is ready to be served: `serve(agent)`. Made by `defineAgent` or by a class that extends `BaseAgent`. */
export interface Agent<I extends TSchema = TSchema, O extends TSchema = TSchema> {
  readonly card: AgentCard
  readonly slots: number
  readonly input: I
  readonly output: O
  /** Faults of a task's input; fills in the defaults of the schema. */
  inputFaults(value: unknown): Fault[]
  outputFaults(value: unknown): Fault[]
  handle(ctx: TaskContext, input: Static<I>): Promise<Static<O>>
}

/**
 * Defines an agent. The types of `input` and of the return value follow from the schemas.
 * @throws {AgentDefinitionError} naming everything that is wrong with name, version, skills, slots or schemas
 */
export function defineAgent<I extends TSchema, O extends TSchema>(definition: AgentDefinition<I, O>): Agent<I, O> {
  const slots = definition.slots ?? 1
  const faults: string[] = []
  const card = buildCard(definition)
  faults.push(...cardFaults(card).map(({ pointer, message }) => `${pointer.slice(1).replaceAll('/', '.')} ${message}`))
  if (!Number.isInteger(slots) || slots < 1 || slots > 1000) faults.push('slots must be an integer from 1 to 1000')
  const inputFaults = compiled('input', definition.input, faults, { useDefaults: true })
  const outputFaults = compiled('output', definition.output, faults)
  if (faults.length > 0) throw new AgentDefinitionError(faults)
  return {
    card,
    slots,
    input: definition.input,
    output: definition.output,
    inputFaults,
    outputFaults,
    handle: async (ctx, input) => await definition.onTask(ctx, input),
  }
}

function compiled(name: string, schema: TSchema, faults: string[], options?: { useDefaults: boolean }): Check {
  try {
    return compileCheck(schema, options)
  } catch (error) {
    faults.push(`${name} is not a usable JSON Schema: ${error instanceof Error ? error.message : String(error)}`)
    return () => []
  }
}
