import type { SyntaxNode } from './parse.ts'

/** A stretch of the text that belongs to something (a function, a class). */
export interface Span<T> {
  readonly start: number
  readonly end: number
  readonly value: T
}

export function spanOf<T>(node: SyntaxNode, value: T): Span<T> {
  const { start, end } = node.range()
  return { start: start.index, end: end.index, value }
}

/**
 * For every position the spans around it, outermost first. Spans nest (they come from one tree) and both lists are in
 * the order of the text, so one sweep answers all: climbing to parents would cost the depth each time.
 */
export function enclosing<T>(spans: readonly Span<T>[], positions: readonly number[]): T[][] {
  const open: Span<T>[] = []
  let next = 0
  return positions.map((position) => {
    for (let span = spans[next]; span !== undefined && span.start <= position; span = spans[++next]) {
      closeBefore(open, span.start)
      open.push(span)
    }
    closeBefore(open, position)
    return open.map(({ value }) => value)
  })
}

function closeBefore<T>(open: Span<T>[], position: number): void {
  for (let last = open.at(-1); last !== undefined && last.end <= position; last = open.at(-1)) open.pop()
}
