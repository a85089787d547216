/** Which model is asked, and what it costs. */
export interface ModelSettings {
  /** An endpoint that speaks the chat protocol of OpenAI, up to and with `/v1`. */
  readonly baseUrl: string
  readonly name: string
  readonly apiKey?: string
  readonly prices?: Prices
  readonly patience: Patience
}

/** US dollars for a million tokens. */
export interface Prices {
  readonly inputUsd: number
  readonly outputUsd: number
}

/** How long a model that is busy or broken is waited for, before the task is handed back for a later attempt. */
export interface Patience {
  /** Requests for one turn at most. */
  readonly tries: number
  /** The first pause when the model names none; each one after it is twice as long. */
  readonly firstPauseMs: number
  /** A longer pause is not waited for here. */
  readonly pauseMaxMs: number
}
