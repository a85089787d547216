import { LineCounter, isMap, isPair, isScalar, isSeq, parseAllDocuments } from 'yaml'
import type { Document, Node, Pair } from 'yaml'
import type { SourceFile } from '../source/source-file.ts'
import type { Candidate } from './candidate.ts'
import { secrecyOf } from './names.ts'
import { SECRET_WORD } from './python-secrets.ts'

const MAX_STRUCTURED_CHARS = 400_000
const MAX_DEPTH = 60

/** Values of a configuration file by key, wherever a key names a secret or a value may be a URL with credentials. */
export function configCandidates(file: SourceFile): Candidate[] {
  if (!SECRET_WORD.test(file.text) && !file.text.includes('@')) return []
  switch (file.entry.language) {
    case 'yaml':
    case 'json':
      return isTranslation(file.path) || /(^|\/)package\.json$/.test(file.path) ? [] : structured(file)
    case 'toml':
    case 'ini':
      return keyValueLines(file)
    case 'dockerfile':
      return dockerfile(file)
    default:
      return []
  }
}

function isTranslation(path: string): boolean {
  return (
    /(^|\/)(locales?|i18n|l10n|langs?|languages?|translations?|messages)\//i.test(path) ||
    /(^|\/)[a-z]{2}([-_][A-Z]{2})?\.json$/.test(path)
  )
}

function structured(file: SourceFile): Candidate[] {
  if (file.text.length > MAX_STRUCTURED_CHARS) return []
  const counter = new LineCounter()
  const found: Candidate[] = []
  for (const document of parseAllDocuments(file.text, { lineCounter: counter, logLevel: 'silent' })) {
    const isSecret = isKubernetesSecret(document as Document)
    const at = (node: Node | null | undefined): number => counter.linePos(node?.range?.[0] ?? 0).line
    collect((document as Document).contents, { found, at, isSecret }, 0)
  }
  return found
}

interface Collector {
  readonly found: Candidate[]
  readonly at: (node: Node | null | undefined) => number
  readonly isSecret: boolean
}

function isKubernetesSecret(document: Document): boolean {
  return isMap(document.contents) && document.contents.get('kind') === 'Secret'
}

function collect(node: unknown, collector: Collector, depth: number): void {
  if (depth > MAX_DEPTH) return
  if (isMap(node)) {
    const variable = environmentVariable(node.items)
    if (variable !== undefined) add(collector, variable.name, variable.value)
    for (const pair of node.items) ofPair(pair as Pair, collector, depth)
  } else if (isSeq(node)) {
    for (const item of node.items) {
      if (isScalar(item)) ofListItem(item, collector)
      else collect(item, collector, depth + 1)
    }
  }
}

function ofPair(pair: Pair, collector: Collector, depth: number): void {
  const key = isScalar(pair.key) ? String(pair.key.value) : ''
  if (isScalar(pair.value)) return add(collector, key, pair.value)
  // Data of a Kubernetes Secret are secrets whatever their keys are called.
  if (collector.isSecret && (key === 'data' || key === 'stringData') && isMap(pair.value)) {
    for (const entry of pair.value.items)
      if (isPair(entry) && isScalar(entry.value)) add(collector, 'secret', entry.value)
    return
  }
  collect(pair.value, collector, depth + 1)
}

/** `- name: JWT_SECRET` with `value: x` beside it. */
function environmentVariable(items: readonly Pair[]): { name: string; value: Node } | undefined {
  const entry = (wanted: string): unknown =>
    items.find((pair) => isScalar(pair.key) && pair.key.value === wanted)?.value
  const name = entry('name')
  const value = entry('value')
  return isScalar(name) && isScalar(value) && typeof name.value === 'string' ? { name: name.value, value } : undefined
}

/** `- JWT_SECRET=x`, as compose writes its environment. */
function ofListItem(item: Node, collector: Collector): void {
  const text = isScalar(item) && typeof item.value === 'string' ? item.value : ''
  const match = /^([A-Za-z_][\w.]*)=(.+)$/s.exec(text)
  if (match?.[1] !== undefined && match[2] !== undefined) push(collector, match[1], match[2], collector.at(item))
}

function add(collector: Collector, name: string, value: Node): void {
  if (!isScalar(value) || (typeof value.value !== 'string' && typeof value.value !== 'number')) return
  push(collector, name, String(value.value), collector.at(value))
}

function push(collector: Collector, name: string, value: string, line: number): void {
  // compose: what ${JWT_SECRET:-x} comes down to when nobody sets it
  const fallback = /^\$\{(\w+):?-(.+)\}$/s.exec(value)
  const place = { line, endLine: line }
  if (fallback?.[1] !== undefined && fallback[2] !== undefined) {
    collector.found.push({ ...place, name: fallback[1], value: fallback[2], where: 'env-default' })
  } else if (secrecyOf(name) !== undefined || /:\/\/.*@/.test(value)) {
    collector.found.push({ ...place, name, value, where: 'config' })
  }
}

/** `key = value` of TOML, INI, properties and the like. */
function keyValueLines(file: SourceFile): Candidate[] {
  return file.lines.flatMap((text, index) => {
    const match = /^\s*["']?([A-Za-z_][\w.:-]*)["']?\s*[=:]\s*(.+?)\s*$/.exec(text)
    if (match?.[1] === undefined || match[2] === undefined) return []
    const value = unquote(match[2])
    if (secrecyOf(match[1]) === undefined && !/:\/\/.*@/.test(value)) return []
    return [{ line: index + 1, endLine: index + 1, name: match[1], value, where: 'config' }]
  })
}

export function unquote(text: string): string {
  const quoted = /^(["'])(.*?)\1\s*(?:[#;,].*)?$/.exec(text)
  return quoted?.[2] ?? text.replace(/\s+[#;].*$/, '')
}

/** `ENV KEY=value …`, `ENV KEY value`, `ARG KEY=value`. */
function dockerfile(file: SourceFile): Candidate[] {
  return file.lines.flatMap((text, index) => {
    const body = /^\s*(?:ENV|ARG)\s+(.+)$/i.exec(text)?.[1]
    if (body === undefined) return []
    const place = { line: index + 1, endLine: index + 1, where: 'config' } as const
    const old = /^([A-Za-z_]\w*)\s+(\S.*)$/.exec(body)
    if (old?.[1] !== undefined && old[2] !== undefined) return [{ ...place, name: old[1], value: unquote(old[2]) }]
    return [...body.matchAll(/([A-Za-z_]\w*)=("[^"]*"|'[^']*'|\S+)/g)].map(([, name = '', value = '']) => ({
      ...place,
      name,
      value: unquote(value),
    }))
  })
}
