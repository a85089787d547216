import type { CrewManifest, Fault } from '@hypercode/contracts'
import { LineCounter, parseDocument } from 'yaml'
import type { Document } from 'yaml'
import { jsonFaults } from './json-faults.ts'
import { meaningFaults } from './meaning.ts'
import { isNestedTooDeep, DEPTH_MAX } from './nesting.ts'
import { keysTwice, placeOf } from './places.ts'
import { shapeFaults } from './shape.ts'
import type { FaultDraft } from './shape.ts'

/** Aliases that a manifest may resolve to; more is a document that was made to explode. */
const ALIAS_MAX = 100
/** Faults that are reported of one manifest. */
const FAULTS_MAX = 100

export type ParsedManifest =
  | { manifest: CrewManifest; faults: [] }
  | { manifest: undefined; faults: [Fault, ...Fault[]] }

/** Reads a crew manifest from YAML or JSON text and reports every fault at once, each with line, column and JSON pointer. */
export function parseManifest(text: string): ParsedManifest {
  const wholly = (message: string): ParsedManifest => refused([{ pointer: '', message, line: 1, column: 1 }])
  if (isNestedTooDeep(text)) return wholly(`the manifest is nested more than ${DEPTH_MAX} levels deep`)
  const lines = new LineCounter()
  const document = parse(text, lines)
  // What YAML only warns of, a tag that nobody knows for one, would not be what its author meant.
  const broken = [...document.errors, ...document.warnings]
  if (broken.length > 0) {
    return refused(
      broken.slice(0, FAULTS_MAX).map((error) => {
        const { line, col } = lines.linePos(error.pos[0])
        return { pointer: '', message: error.message, line, column: col }
      }),
    )
  }
  const twice = keysTwice(document, lines)
  if (twice.length > 0) return refused(twice.slice(0, FAULTS_MAX))
  let value: unknown
  try {
    value = document.toJS({ maxAliasCount: ALIAS_MAX })
  } catch (error) {
    if (!(error instanceof globalThis.ReferenceError)) throw error
    return wholly(`aliases: ${error.message}`)
  }
  return judge(value, ({ onKey, ...fault }) => ({ ...fault, ...placeOf(document, lines, fault.pointer, onKey) }))
}

/** The same for a manifest that came as part of a JSON body; there are no lines then. */
export const readManifest = (value: unknown): ParsedManifest =>
  typeof value === 'string' ? parseManifest(value) : judge(value, ({ onKey: _, ...fault }) => fault)

function judge(value: unknown, locate: (draft: FaultDraft) => Fault): ParsedManifest {
  const faults = faultsOf(value)
  return faults.length > 0
    ? refused(faults.slice(0, FAULTS_MAX).map(locate))
    : { manifest: value as CrewManifest, faults: [] }
}

/**
 * Each check may look only at what the one before has found to be sound: JSON, then the shape of a manifest, then what it means. A wrong
 * word or a key too many leaves the rest as sound as it was, so those faults come together with the ones behind them.
 */
function faultsOf(value: unknown): FaultDraft[] {
  const unreadable = jsonFaults(value)
  if (unreadable.length > 0) return unreadable
  const { faults, isSound } = shapeFaults(value)
  return isSound ? [...faults, ...meaningFaults(value as CrewManifest)] : faults
}

const refused = (faults: Fault[]): ParsedManifest => ({ manifest: undefined, faults: faults as [Fault, ...Fault[]] })

/**
 * YAML 1.2 whatever a directive says: the dates, sets and bytes of 1.1 are no JSON. Keys that stand twice are looked for later, since
 * the parser compares each with all others. And it makes an error object for every fault, of which a hostile text has one in every
 * character: without their stacks that takes a tenth of the time.
 */
function parse(text: string, lineCounter: LineCounter): Document.Parsed {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    return parseDocument(text, {
      lineCounter,
      schema: 'core',
      stringKeys: true,
      uniqueKeys: false,
      strict: true,
      prettyErrors: false,
      logLevel: 'error',
    })
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}
