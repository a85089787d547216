import type { Fault } from '@hypercode/contracts'
import { isAlias, isMap, isScalar, isSeq } from 'yaml'
import type { Document, LineCounter, Node, Pair } from 'yaml'

export interface Place {
  line: number
  column: number
}

/** Where the node of a JSON pointer stands, or with `onKey` its key; for one that is missing, where its parent does. */
export function placeOf(document: Document, lines: LineCounter, pointer: string, onKey = false): Place {
  const path = pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
  let node: Node | null = document.contents
  let found = node
  for (const [depth, part] of path.entries()) {
    const child: { key: Node | null; value: Node | null } = childOf(document, node, part)
    node = child.value
    found = (onKey && depth === path.length - 1 ? child.key : child.value) ?? child.key ?? found
  }
  return at(lines, found)
}

/** Keys that stand twice in one mapping. */
export function keysTwice(document: Document, lines: LineCounter): Fault[] {
  const faults: Fault[] = []
  const visit = (node: unknown): void => {
    if (isSeq(node)) for (const item of node.items) visit(item)
    if (!isMap(node)) return
    const seen = new Set<string>()
    for (const pair of node.items) {
      const key = nameOf(pair)
      if (seen.has(key))
        faults.push({
          pointer: '',
          message: `the key "${key}" stands here a second time`,
          ...at(lines, pair.key as Node),
        })
      seen.add(key)
      visit(pair.value)
    }
  }
  visit(document.contents)
  return faults
}

function childOf(document: Document, parent: Node | null, part: string): { key: Node | null; value: Node | null } {
  const node = isAlias(parent) ? parent.resolve(document) : parent
  if (isSeq(node)) return { key: null, value: (node.items[Number(part)] ?? null) as Node | null }
  const pair = isMap(node) ? node.items.find((one) => nameOf(one) === part) : undefined
  return { key: (pair?.key ?? null) as Node | null, value: (pair?.value ?? null) as Node | null }
}

const nameOf = ({ key }: Pair): string => String(isScalar(key) ? key.value : key)

function at(lines: LineCounter, node: Node | null): Place {
  if (node?.range == null) return { line: 1, column: 1 }
  const { line, col } = lines.linePos(node.range[0])
  return { line, column: col }
}
