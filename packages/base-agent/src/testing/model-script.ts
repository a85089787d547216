/** One call of a tool, as the model writes it. */
export interface ScriptedToolCall {
  readonly name: string
  /** An object is sent as JSON; a text is sent as it is, also when it is not JSON. */
  readonly input: unknown
  /** Default `call_<turn>_<index>`. */
  readonly id?: string
}

/** A refusal instead of an answer. */
export interface ScriptedError {
  /** 429, 500, 503 … */
  readonly status: number
  readonly message?: string
  /** The header `Retry-After`: seconds, or a date. */
  readonly retryAfter?: number | string
}

/** What the model says to one request. */
export interface ModelTurn {
  /** A list is streamed one by one; a single text word by word. */
  readonly text?: string | readonly string[]
  readonly toolCalls?: readonly ScriptedToolCall[]
  /** What the answer says it has used; `null` says nothing. Default: a word is a token. */
  readonly usage?: { readonly inputTokens: number; readonly outputTokens: number } | null
  /** Default `tool_calls` with calls, else `stop`. */
  readonly finishReason?: 'stop' | 'length' | 'tool_calls' | 'content_filter'
  readonly error?: ScriptedError
  /** How long nothing comes, milliseconds. */
  readonly firstTokenMs?: number
  /** Between two pieces of a stream, milliseconds. */
  readonly chunkMs?: number
  /** The connection breaks after so many pieces of text and calls; of a plain answer, before it. */
  readonly cutAfter?: number
}

/** A request as it came in. */
export interface ModelRequest {
  /** From 0. */
  readonly index: number
  readonly model: string
  readonly stream: boolean
  readonly messages: readonly ModelMessage[]
  /** The names of the tools on offer. */
  readonly tools: readonly string[]
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** The whole body. */
  readonly body: Readonly<Record<string, unknown>>
  readonly atMs: number
}

export interface ModelMessage {
  readonly role: string
  /** Text; of a list of parts, their text together. */
  readonly text: string
  /** Names of the tools that the message calls. */
  readonly toolCalls: readonly string[]
}

/** Turns in their order, or a function that answers each request. */
export type ModelScript = readonly ModelTurn[] | ((request: ModelRequest) => ModelTurn | Promise<ModelTurn>)

export async function turnOf(script: ModelScript, request: ModelRequest): Promise<ModelTurn> {
  if (typeof script === 'function') return await script(request)
  const turn = script[request.index]
  if (turn !== undefined) return turn
  // No client repeats a 400, so a script that is too short ends a test at once and with words.
  return { error: { status: 400, message: `the script has ${script.length} turns and no more` } }
}

/** The pieces in which a text is streamed. */
export function piecesOf(text: ModelTurn['text']): readonly string[] {
  if (text === undefined) return []
  return typeof text === 'string' ? (text.match(/\S+\s*|\s+/g) ?? []) : text
}
