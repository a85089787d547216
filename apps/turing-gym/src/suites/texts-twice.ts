import type { Fault } from '@hypercode/contracts'

/** Faults of texts that stand a second time where each may stand once. Those without a text are passed over. */
export function textsTwice(texts: readonly (string | undefined)[], pointerOf: (index: number) => string): Fault[] {
  const seen = new Set<string>()
  return texts.flatMap((text, index) => {
    if (text === undefined) return []
    if (seen.has(text)) return [{ pointer: pointerOf(index), message: `"${text}" stands here a second time` }]
    seen.add(text)
    return []
  })
}
