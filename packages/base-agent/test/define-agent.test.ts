import { Type } from '@sinclair/typebox'
import { AgentDefinitionError, BaseAgent, defineAgent } from '@hypercode/base-agent'
import type { Agent, TaskContext } from '@hypercode/base-agent'
import { runTask } from '@hypercode/base-agent/testing'
import { describe, expect, expectTypeOf, test } from 'vitest'

const Goal = Type.Object({ goal: Type.String(), tries: Type.Optional(Type.Integer({ default: 3 })) })
const Patch = Type.Object({ files: Type.Array(Type.String()), summary: Type.String() })
const profile = { name: 'coder', version: '2.1.0', skills: [{ id: 'code.edit' }], input: Goal, output: Patch }

describe('types follow from the schemas', () => {
  test('input and context are typed in the handler, the output for the caller', async () => {
    const coder = defineAgent({
      ...profile,
      async onTask(ctx, input) {
        expectTypeOf(input).toEqualTypeOf<{ goal: string; tries?: number }>()
        expectTypeOf(ctx).toEqualTypeOf<TaskContext>()
        const plan = await ctx.step('plan', () => ({ files: [input.goal], at: new Date(0), note: undefined }))
        expectTypeOf(plan.files).toEqualTypeOf<string[]>()
        expectTypeOf(plan.at).toEqualTypeOf<string>()
        expectTypeOf(await ctx.step('nothing', () => undefined)).toEqualTypeOf<null>()
        return { files: plan.files, summary: plan.at }
      },
    })
    const { output } = await runTask(coder, { goal: 'a.ts' })
    expectTypeOf(output).toEqualTypeOf<{ files: string[]; summary: string }>()
    expect(output).toEqual({ files: ['a.ts'], summary: '1970-01-01T00:00:00.000Z' })
  })

  test('a wrong return value does not compile', () => {
    // @ts-expect-error summary is missing
    const wrong = defineAgent({ ...profile, onTask: async () => ({ files: [] }) })
    // @ts-expect-error goal must be a string
    const call = (): Promise<unknown> => runTask(wrong, { goal: 1 })
    expect(call).toBeTypeOf('function')
  })

  test('every agent is an Agent', () => {
    expectTypeOf(defineAgent({ ...profile, onTask: () => ({ files: [], summary: '' }) })).toExtend<Agent>()
  })
})

test('a class yields the same agent', async () => {
  class Coder extends BaseAgent<typeof Goal, typeof Patch> {
    readonly #prefix: string

    constructor(prefix: string) {
      super({ ...profile, slots: 3 })
      this.#prefix = prefix
    }

    override async onTask(ctx: TaskContext, input: { goal: string }) {
      return { files: [ctx.skill], summary: `${this.#prefix} ${input.goal}` }
    }
  }
  const coder = new Coder('did')
  const defined = defineAgent({ ...profile, slots: 3, onTask: () => ({ files: [], summary: '' }) })
  expect({ card: coder.card, slots: coder.slots }).toEqual({ card: defined.card, slots: 3 })
  expect(coder.inputFaults({ goal: 1 })).toEqual(defined.inputFaults({ goal: 1 }))
  const { output } = await runTask(coder, { goal: 'it' })
  expectTypeOf(output).toEqualTypeOf<{ files: string[]; summary: string }>()
  expect(output).toEqual({ files: ['code.edit'], summary: 'did it' })
})

describe('a wrong definition is refused where it stands, with all faults', () => {
  const onTask = (): { files: string[]; summary: string } => ({ files: [], summary: '' })
  const faultsOf = (make: () => unknown): readonly string[] => {
    try {
      make()
    } catch (error) {
      if (error instanceof AgentDefinitionError) return error.faults
      throw error
    }
    return []
  }

  test('card and slots', () => {
    const skills = [{ id: 'Not Good' }, { id: 'fine' }]
    const faults = faultsOf(() => defineAgent({ ...profile, name: 'My Agent', skills, slots: 0, onTask }))
    expect(faults.join('\n')).toMatch(/name .*pattern/)
    expect(faults.join('\n')).toMatch(/skills\.0\.id .*pattern/)
    expect(faults.join('\n')).toMatch(/slots/)
  })

  test('a skill that is named twice', () => {
    const skills = [{ id: 'a' }, { id: 'b' }, { id: 'a' }]
    expect(faultsOf(() => defineAgent({ ...profile, skills, onTask })).join()).toContain('repeats the skill a')
  })

  test.each([
    ['a misspelt keyword', Type.String({ minLenght: 3 })],
    ['a format that nobody knows', Type.String({ format: 'colour' })],
    ['a kind that is not JSON', Type.Date()],
  ])('a schema with %s', (_what, input) => {
    expect(faultsOf(() => defineAgent({ ...profile, input, onTask })).join()).toContain(
      'input is not a usable JSON Schema',
    )
  })

  test('a good one has none', () => {
    expect(faultsOf(() => defineAgent({ ...profile, onTask }))).toEqual([])
  })
})
