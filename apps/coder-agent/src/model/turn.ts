/** What the model has said in one turn. It is journaled, and everything after it follows from it. */
export interface Turn {
  readonly text: string
  readonly calls: readonly ToolCall[]
  /** `length`: the answer was cut at its largest size. */
  readonly finish: 'stop' | 'calls' | 'length'
  readonly usage: Usage
  readonly ms: number
}

export interface ToolCall {
  readonly id: string
  readonly name: string
  readonly input: unknown
  /** What is wrong with it, when it is not even JSON. */
  readonly fault?: string
}

export interface Usage {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly usd: number
  /** The endpoint did not say; the numbers are reckoned from the length of the texts. */
  readonly estimated?: true
}
