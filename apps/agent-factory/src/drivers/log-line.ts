export type OutputStream = 'stdout' | 'stderr'

/** What is kept of one line, in characters. */
const LINE_CHARACTERS_MAX = 16_384

/**
 * One line of output as a JSON object: as it is when it is one already, else put into one with the names that our own
 * logger uses. Has no line break, NUL or half a surrogate, whatever the agent wrote.
 */
export function logLine(text: string, stream: OutputStream, at: Date): string {
  if (text.length <= LINE_CHARACTERS_MAX && isObject(text)) return text
  const kept = text.slice(0, LINE_CHARACTERS_MAX)
  return JSON.stringify({
    ts: at.toISOString(),
    level: stream === 'stderr' ? 'error' : 'info',
    stream,
    msg: kept,
    ...(kept.length < text.length && { cutCharacters: text.length - kept.length }),
  })
}

/** Whether V8 says here that its heap is full. It then ends the process with an abort, which could mean anything. */
export const tellsOfFullHeap = (text: string): boolean => text.includes('JavaScript heap out of memory')

function isObject(text: string): boolean {
  if (!text.startsWith('{')) return false
  try {
    JSON.parse(text)
    return true
  } catch (error) {
    if (error instanceof SyntaxError) return false
    throw error
  }
}
