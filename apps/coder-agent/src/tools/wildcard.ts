/**
 * Does the whole text fit the pattern? `*` stands for any characters, also none, also `/`; every other character for itself.
 * Takes time in proportion to text and pattern, whatever they hold.
 */
export function fitsWildcard(text: string, pattern: string): boolean {
  const parts = pattern.split('*')
  const first = parts.shift() ?? ''
  const last = parts.pop()
  if (last === undefined) return text === first
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false
  const end = text.length - last.length
  let from = first.length
  for (const part of parts) {
    const at = text.indexOf(part, from)
    if (at < 0 || at + part.length > end) return false
    from = at + part.length
  }
  return true
}

export const fitsAny = (text: string, patterns: readonly string[]): boolean =>
  patterns.some((pattern) => fitsWildcard(text, pattern))
