/** A text that can be stored and read: without control characters, and of a long one its beginning and its end. */
export function boundedText(text: string, maxChars: number): string {
  const clean = storable(text)
  if (clean.length <= maxChars) return clean
  const half = Math.floor(maxChars / 2)
  const left = clean.length - 2 * half
  return `${clean.slice(0, half)}\n[… ${left} characters left out …]\n${clean.slice(-half)}`.toWellFormed()
}

/** Without colours and other control sequences, NUL above all, which the journal does not take. */
export const storable = (text: string): string =>
  text.toWellFormed().replace(/\u001b\[[0-9;?]*[ -/]*[@-~]|[\0-\b\v\f\u000e-\u001f\u007f]/g, '')

/** JSON whose texts the journal takes, and otherwise as it is. */
export function storableJson(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed().replaceAll('\0', '')
  if (Array.isArray(value)) return value.map(storableJson)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key.toWellFormed().replaceAll('\0', ''), storableJson(item)]),
  )
}
