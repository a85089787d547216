import type { CrewManifest, Fault } from '@hypercode/contracts'
import { LineCounter, isNode, parseDocument } from 'yaml'
import type { Document } from 'yaml'
import { meaningFaults } from './meaning.ts'
import { shapeFaults } from './shape.ts'

/** Aliases that a manifest may resolve to; more is a document that was made to explode. */
const ALIAS_MAX = 100

export type ParsedManifest =
  | { manifest: CrewManifest; faults: [] }
  | { manifest: undefined; faults: [Fault, ...Fault[]] }

/** Reads a crew manifest from YAML or JSON text and reports every fault at once, each with line, column and JSON pointer. */
export function parseManifest(text: string): ParsedManifest {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, strict: true, prettyErrors: false })
  if (document.errors.length > 0) {
    return refused(
      document.errors.map((error) => {
        const { line, col } = lines.linePos(error.pos[0])
        return { pointer: '', message: error.message, line, column: col }
      }),
    )
  }
  let value: unknown
  try {
    value = document.toJS({ maxAliasCount: ALIAS_MAX })
  } catch (error) {
    if (!(error instanceof globalThis.ReferenceError)) throw error
    return refused([{ pointer: '', message: `aliases: ${error.message}`, line: 1, column: 1 }])
  }
  return judge(value, (fault) => ({ ...fault, ...place(document, lines, fault.pointer) }))
}

/** The same for a manifest that came as part of a JSON body; there are no lines then. */
export const readManifest = (value: unknown): ParsedManifest =>
  typeof value === 'string' ? parseManifest(value) : judge(value, (fault) => fault)

function judge(value: unknown, locate: (fault: Fault) => Fault): ParsedManifest {
  const shape = shapeFaults(value)
  // What a manifest means can only be judged when it has the shape of one.
  const faults = shape.length > 0 ? shape : meaningFaults(value as CrewManifest)
  return faults.length > 0 ? refused(faults.map(locate)) : { manifest: value as CrewManifest, faults: [] }
}

const refused = (faults: Fault[]): ParsedManifest => ({ manifest: undefined, faults: faults as [Fault, ...Fault[]] })

/** Where the node of a pointer stands; for one that is missing, where its parent does. */
function place(document: Document, lines: LineCounter, pointer: string): { line: number; column: number } {
  const path = pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
  for (let depth = path.length; depth >= 0; depth -= 1) {
    const node = document.getIn(
      path.slice(0, depth).map((part) => (/^\d+$/.test(part) ? Number(part) : part)),
      true,
    )
    if (isNode(node) && node.range != null) {
      const { line, col } = lines.linePos(node.range[0])
      return { line, column: col }
    }
  }
  return { line: 1, column: 1 }
}
