import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { jsonSchema, streamText, tool } from 'ai'
import type { LanguageModel, LanguageModelUsage, ModelMessage, TextStreamPart, ToolSet } from 'ai'
import type { TSchema } from '@sinclair/typebox'
import { boundedText, storable, storableJson } from '../tools/bounded-text.ts'
import { ModelFault, modelFaultOf } from './model-fault.ts'
import type { ModelSettings, Prices } from './model-settings.ts'
import type { ToolCall, Turn, Usage } from './turn.ts'

export interface OfferedTool {
  readonly name: string
  readonly description: string
  readonly input: TSchema
}

export interface Question {
  readonly system: string
  readonly messages: readonly ModelMessage[]
  readonly tools: readonly OfferedTool[]
  readonly maxOutputTokens: number
  readonly signal: AbortSignal
  /** Gets the text as it comes. */
  readonly onText: (text: string) => Promise<void>
}

/** Asks once, without trying again. */
export type AskModel = (question: Question) => Promise<Turn>

/**
 * One turn of a model behind an endpoint that speaks the chat protocol of OpenAI, as a stream.
 * The function throws `ModelFault`, or the reason of the signal.
 */
export function createAskModel(settings: ModelSettings): AskModel {
  const { baseUrl, apiKey, name } = settings
  const provider = createOpenAICompatible({
    name: 'model',
    baseURL: baseUrl,
    includeUsage: true,
    ...(apiKey !== undefined && { apiKey }),
  })
  const model = provider(name)
  return async (question) => {
    const beganMs = performance.now()
    try {
      const heard = await listen(model, question)
      return turnOf(heard, question, settings.prices, Math.round(performance.now() - beganMs))
    } catch (error) {
      question.signal.throwIfAborted()
      throw modelFaultOf(error)
    }
  }
}

interface Heard {
  /** Characters so far, of text and of calls. */
  size: number
  text: string
  readonly calls: ToolCall[]
  finish: string | undefined
  usage: LanguageModelUsage | undefined
}

async function listen(model: LanguageModel, question: Question): Promise<Heard> {
  const heard: Heard = { size: 0, text: '', calls: [], finish: undefined, usage: undefined }
  const { fullStream } = streamText({
    model,
    system: question.system,
    messages: [...question.messages],
    tools: Object.fromEntries(
      question.tools.map(({ name, description, input }) => [
        name,
        // Checked where it is used, so that the model hears all faults at once, and of our own words.
        tool({ description, inputSchema: jsonSchema<unknown>(JSON.parse(JSON.stringify(input))) }),
      ]),
    ),
    maxOutputTokens: question.maxOutputTokens,
    maxRetries: 0,
    abortSignal: question.signal,
    onError: () => undefined, // comes as a part of the stream too
  })
  for await (const part of fullStream) await hear(part, heard, question)
  question.signal.throwIfAborted()
  return heard
}

async function hear(part: TextStreamPart<ToolSet>, heard: Heard, { onText }: Question): Promise<void> {
  switch (part.type) {
    case 'text-delta': {
      const text = storable(part.text)
      grow(heard, part.text)
      heard.text += text
      if (text !== '') await onText(text)
      return
    }
    case 'tool-input-delta':
      grow(heard, part.delta)
      return
    case 'tool-call':
      heard.calls.push(callOf(part))
      return
    case 'finish-step':
      heard.finish = part.rawFinishReason === undefined ? undefined : part.finishReason
      heard.usage = part.usage
      return
    case 'error':
      throw part.error
    default:
  }
}

/** A model that does not come to an end is not listened to for ever. */
function grow(heard: Heard, piece: string): void {
  heard.size += piece.length
  if (heard.size > ANSWER_MAX_CHARS) throw new ModelFault('the answer of the model is too long', { passing: false })
}

function callOf({ toolCallId: id, toolName: name, input, invalid }: GivenCall): ToolCall {
  const clean = storableJson(input)
  const isText = invalid === true && typeof input === 'string'
  return { id, name: name.slice(0, NAME_MAX_CHARS), input: clean, ...(isText && { fault: 'the input is not JSON' }) }
}

interface GivenCall {
  readonly toolCallId: string
  readonly toolName: string
  readonly input: unknown
  readonly invalid?: boolean | undefined
}

/** The calls that a step of the journal can hold; others are answered with what is wrong. */
function withinStep(calls: readonly ToolCall[]): ToolCall[] {
  let bytes = 0
  return calls.slice(0, CALLS_MAX).map((call) => {
    const size = Buffer.byteLength(JSON.stringify(call))
    bytes += size
    if (bytes <= CALLS_MAX_BYTES) return call
    bytes -= size
    return { id: call.id, name: call.name, input: {}, fault: 'the input is too long; use smaller steps' }
  })
}

function turnOf(heard: Heard, question: Question, prices: Prices | undefined, ms: number): Turn {
  const { text, finish } = heard
  // A stream that just ends has lost its end on the way.
  if (finish === undefined) throw new ModelFault('the answer of the model broke off', { passing: true })
  if (finish === 'content-filter') {
    throw new ModelFault('the model refuses to answer: its content filter stopped it', { passing: false })
  }
  const calls = withinStep(heard.calls)
  return {
    text: boundedText(text, TEXT_MAX_CHARS),
    calls,
    finish: calls.length > 0 ? 'calls' : finish === 'length' ? 'length' : 'stop',
    usage: usageOf(heard, question, prices),
    ms,
  }
}

function usageOf({ usage, text, calls }: Heard, question: Question, prices: Prices | undefined): Usage {
  const said = usage?.inputTokens !== undefined && usage.outputTokens !== undefined
  const inputTokens = usage?.inputTokens ?? reckon(JSON.stringify(question.messages)) + reckon(question.system)
  const outputTokens = usage?.outputTokens ?? reckon(text) + reckon(JSON.stringify(calls))
  const usd = (inputTokens * (prices?.inputUsd ?? 0) + outputTokens * (prices?.outputUsd ?? 0)) / 1_000_000
  return { inputTokens, outputTokens, usd, ...(!said && { estimated: true as const }) }
}

/** Four characters are about a token. */
const reckon = (text: string): number => Math.ceil(text.length / 4)

const CALLS_MAX = 16
const CALLS_MAX_BYTES = 150_000
const NAME_MAX_CHARS = 100
const TEXT_MAX_CHARS = 20_000
const ANSWER_MAX_CHARS = 1_000_000
