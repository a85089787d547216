import { piecesOf } from './model-script.ts'
import type { ModelRequest, ModelTurn, ScriptedToolCall } from './model-script.ts'

/** The answer to a request that asks for no stream. */
export function plainAnswer(turn: ModelTurn, request: ModelRequest): object {
  const text = piecesOf(turn.text).join('')
  const calls = (turn.toolCalls ?? []).map((call, index) => toolCall(call, index, request))
  const message = {
    role: 'assistant',
    content: text === '' ? null : text,
    ...(calls.length > 0 && { tool_calls: calls }),
  }
  return {
    ...envelope('chat.completion', request),
    choices: [{ index: 0, message, finish_reason: finishReason(turn) }],
    ...usage(turn, request),
  }
}

/** The pieces of a stream: text and calls, which a cut counts, and the end. */
export interface StreamedAnswer {
  readonly pieces: readonly object[]
  readonly end: readonly object[]
}

export function streamedAnswer(turn: ModelTurn, request: ModelRequest): StreamedAnswer {
  const chunk = (delta: object, finish: string | null = null): object => ({
    ...envelope('chat.completion.chunk', request),
    choices: [{ index: 0, delta, finish_reason: finish }],
  })
  const texts = piecesOf(turn.text).map((content) => chunk({ role: 'assistant', content }))
  const calls = (turn.toolCalls ?? []).flatMap((call, index) => {
    const { id, type, function: called } = toolCall(call, index, request)
    const [head, tail] = halves(called.arguments)
    // As models do it: the name comes with the first part of the arguments, the rest follows.
    return [
      chunk({ role: 'assistant', tool_calls: [{ index, id, type, function: { name: called.name, arguments: head } }] }),
      chunk({ tool_calls: [{ index, function: { arguments: tail } }] }),
    ]
  })
  const used = usage(turn, request)
  return {
    pieces: [...texts, ...calls],
    end: [
      chunk({}, finishReason(turn)),
      ...('usage' in used ? [{ ...envelope('chat.completion.chunk', request), choices: [], ...used }] : []),
    ],
  }
}

interface WireToolCall {
  readonly id: string
  readonly type: 'function'
  readonly function: { readonly name: string; readonly arguments: string }
}

const toolCall = ({ id, name, input }: ScriptedToolCall, index: number, request: ModelRequest): WireToolCall => ({
  id: id ?? `call_${request.index}_${index}`,
  type: 'function',
  function: { name, arguments: typeof input === 'string' ? input : JSON.stringify(input) },
})

const envelope = (object: string, { index, model }: ModelRequest): object => ({
  id: `chatcmpl-${index}`,
  object,
  created: Math.floor(Date.now() / 1000),
  model,
})

function usage(turn: ModelTurn, request: ModelRequest): { readonly usage?: object } {
  if (turn.usage === null) return {}
  const { inputTokens, outputTokens } = turn.usage ?? {
    inputTokens: request.messages.reduce((sum, { text }) => sum + words(text), 0),
    outputTokens: words(piecesOf(turn.text).join('')) + (turn.toolCalls?.length ?? 0),
  }
  return {
    usage: { prompt_tokens: inputTokens, completion_tokens: outputTokens, total_tokens: inputTokens + outputTokens },
  }
}

const finishReason = ({ finishReason: said, toolCalls = [] }: ModelTurn): string =>
  said ?? (toolCalls.length > 0 ? 'tool_calls' : 'stop')

const words = (text: string): number => text.match(/\S+/g)?.length ?? 0

function halves(text: string): [string, string] {
  const middle = Math.ceil(text.length / 2)
  return [text.slice(0, middle), text.slice(middle)]
}
