export interface JsonAnswer {
  readonly status: number
  readonly body: unknown
}

/**
 * One POST without retries, bounded in time. Small on purpose: the heartbeat worker shall start fast and share nothing with
 * the client that the author's code may keep busy.
 * @throws when there is no answer in time, or when the answer is not JSON
 */
export async function postJson(
  url: string,
  body: unknown,
  options: { readonly token?: string; readonly timeoutMs: number },
): Promise<JsonAnswer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(options.token !== undefined && { authorization: `Bearer ${options.token}` }),
    },
    body: JSON.stringify(body),
    redirect: 'error',
    signal: AbortSignal.timeout(Math.max(1, options.timeoutMs)),
  })
  const text = await response.text()
  return { status: response.status, body: text === '' ? undefined : JSON.parse(text) }
}

/** Why a call failed, for the log: the cause of a failed fetch says more than its message. */
export function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message
}
