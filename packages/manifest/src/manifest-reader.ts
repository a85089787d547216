import type { Fault } from '@hypercode/contracts'
import type { Static, TSchema } from '@sinclair/typebox'
import { LineCounter, parseDocument } from 'yaml'
import type { Document } from 'yaml'
import { jsonFaults } from './json-faults.ts'
import { isNestedTooDeep, DEPTH_MAX } from './nesting.ts'
import { keysTwice, placeOf } from './places.ts'
import { createShapeCheck } from './shape.ts'
import type { FaultDraft } from './shape.ts'

/** Aliases that a manifest may resolve to; more is a document that was made to explode. */
const ALIAS_MAX = 100
/** Faults that are reported of one manifest. */
const FAULTS_MAX = 100

export type ReadManifest<T> =
  | { readonly manifest: T; readonly faults: readonly [] }
  | { readonly manifest: undefined; readonly faults: [Fault, ...Fault[]] }

export interface ManifestReader<T> {
  /** From YAML or JSON text: every fault at once, each with line, column and JSON pointer. */
  readonly parse: (text: string) => ReadManifest<T>
  /** From a member of a JSON body; faults have no lines then. A text is parsed. */
  readonly read: (value: unknown) => ReadManifest<T>
}

/** `meaning` finds what a schema cannot say; it is asked only about manifests of a sound shape, and gives pointers without lines. */
export function createManifestReader<S extends TSchema>(
  schema: S,
  meaning: (manifest: Static<S>) => Fault[] = () => [],
): ManifestReader<Static<S>> {
  type Manifest = Static<S>
  const shapeFaults = createShapeCheck(schema)

  /**
   * Each check may look only at what the one before has found to be sound: JSON, then the shape of a manifest, then what it means. A wrong
   * word or a key too many leaves the rest as sound as it was, so those faults come together with the ones behind them.
   */
  const faultsOf = (value: unknown): FaultDraft[] => {
    const unreadable = jsonFaults(value)
    if (unreadable.length > 0) return unreadable
    const { faults, isSound } = shapeFaults(value)
    return isSound ? [...faults, ...meaning(value as Manifest)] : faults
  }

  const judge = (value: unknown, locate: (draft: FaultDraft) => Fault): ReadManifest<Manifest> => {
    const faults = faultsOf(value)
    return faults.length > 0
      ? refused(faults.slice(0, FAULTS_MAX).map(locate))
      : { manifest: value as Manifest, faults: [] }
  }

  const parse = (text: string): ReadManifest<Manifest> => {
    const document = readDocument(text)
    if ('faults' in document) return refused(document.faults)
    const { value, locate } = document
    return judge(value, ({ onKey, ...fault }) => ({ ...fault, ...locate(fault.pointer, onKey) }))
  }

  return {
    parse,
    read: (value) => (typeof value === 'string' ? parse(value) : judge(value, ({ onKey: _, ...fault }) => fault)),
  }
}

type ReadDocument =
  | { readonly faults: readonly Fault[] }
  | { readonly value: unknown; readonly locate: (pointer: string, onKey?: boolean) => { line: number; column: number } }

/** The value of a text and where each part of it stands, or why it has none. */
function readDocument(text: string): ReadDocument {
  const wholly = (message: string): ReadDocument => ({ faults: [{ pointer: '', message, line: 1, column: 1 }] })
  if (isNestedTooDeep(text)) return wholly(`the manifest is nested more than ${DEPTH_MAX} levels deep`)
  const lines = new LineCounter()
  const document = parseYaml(text, lines)
  // What YAML only warns of, a tag that nobody knows for one, would not be what its author meant.
  const broken = [...document.errors, ...document.warnings]
  if (broken.length > 0) {
    return {
      faults: broken.slice(0, FAULTS_MAX).map((error) => {
        const { line, col } = lines.linePos(error.pos[0])
        return { pointer: '', message: error.message, line, column: col }
      }),
    }
  }
  const twice = keysTwice(document, lines)
  if (twice.length > 0) return { faults: twice.slice(0, FAULTS_MAX) }
  try {
    const value: unknown = document.toJS({ maxAliasCount: ALIAS_MAX })
    return { value, locate: (pointer, onKey) => placeOf(document, lines, pointer, onKey) }
  } catch (error) {
    if (!(error instanceof globalThis.ReferenceError)) throw error
    return wholly(`aliases: ${error.message}`)
  }
}

const refused = (faults: readonly Fault[]): { manifest: undefined; faults: [Fault, ...Fault[]] } => ({
  manifest: undefined,
  faults: faults as [Fault, ...Fault[]],
})

/**
 * YAML 1.2 whatever a directive says: the dates, sets and bytes of 1.1 are no JSON. Keys that stand twice are looked for later, since
 * the parser compares each with all others. And it makes an error object for every fault, of which a hostile text has one in every
 * character: without their stacks that takes a tenth of the time.
 */
function parseYaml(text: string, lineCounter: LineCounter): Document.Parsed {
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
