import type { ModelMessage } from 'ai'
import type { ToolCall, Turn } from './turn.ts'

/** What a model was told and has said so far, in the words of the AI SDK. */
export class Conversation {
  readonly #messages: ModelMessage[]

  constructor(task: string) {
    this.#messages = [{ role: 'user', content: task }]
  }

  get messages(): ModelMessage[] {
    return [...this.#messages]
  }

  /** A turn with what its calls were answered, in their order. */
  add(turn: Turn, answers: readonly string[]): void {
    const text = turn.text === '' ? [] : [{ type: 'text' as const, text: turn.text }]
    const calls = turn.calls.map(({ id, name, input }) => ({
      type: 'tool-call' as const,
      toolCallId: id,
      toolName: name,
      input: isObject(input) ? input : { notJson: input },
    }))
    if (text.length + calls.length > 0) this.#messages.push({ role: 'assistant', content: [...text, ...calls] })
    if (turn.calls.length > 0) this.#messages.push({ role: 'tool', content: turn.calls.map(resultOf(answers)) })
  }

  /** A word of ours in between. */
  say(text: string): void {
    this.#messages.push({ role: 'user', content: text })
  }
}

const resultOf =
  (answers: readonly string[]) =>
  ({ id, name }: ToolCall, index: number) => ({
    type: 'tool-result' as const,
    toolCallId: id,
    toolName: name,
    output: { type: 'text' as const, value: answers[index] ?? '' },
  })

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
