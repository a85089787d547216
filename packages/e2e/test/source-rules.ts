import { Lang, parse } from '@ast-grep/napi'
import type { SgNode } from '@ast-grep/napi'

/** A place in a source file that breaks a rule of the house. */
export type Violation = { rule: string; file: string; line: number; code: string }

/** What the linter cannot say: by the name of the rule, the places in a syntax tree that break it. */
const RULES: Readonly<Record<string, { find: (root: SgNode) => SgNode[]; isExempt?: (file: string) => boolean }>> = {
  'a catch handles, rethrows or counts': { find: idleCatchClauses },
  'a rejection is not thrown away': { find: idleRejectionHandlers },
  'process.env is read in server.ts': { find: environmentReads, isExempt: mayReadEnvironment },
  'a relative import names its file': { find: importsWithoutExtension },
  'a rule is switched off with a reason': { find: silentSwitches },
}

/** All places in one file that break a rule; `file` is relative to the repository, with forward slashes. */
export function violationsIn(file: string, source: string): Violation[] {
  const root = parse(file.endsWith('.mjs') ? Lang.JavaScript : Lang.TypeScript, source).root()
  return Object.entries(RULES).flatMap(([rule, { find, isExempt }]) => {
    if (isExempt?.(file) ?? false) return []
    return find(root).map((node) => {
      const code = node.text().split('\n', 1)[0] ?? ''
      return { rule, file, line: node.range().start.line + 1, code: code.slice(0, 100) }
    })
  })
}

const ofKind = (root: SgNode, kind: string): SgNode[] => root.findAll({ rule: { kind } })

/** A block without a statement; what a comment says, the process does not do. */
function isIdleBlock(node: SgNode | null): boolean {
  return (
    node?.kind() === 'statement_block' &&
    node.children().every((child) => !child.isNamed() || child.kind() === 'comment')
  )
}

function idleCatchClauses(root: SgNode): SgNode[] {
  return ofKind(root, 'catch_clause').filter((clause) => isIdleBlock(clause.field('body')))
}

/** `.catch(…)` and the second argument of `.then(…)` with a function that does nothing. */
function idleRejectionHandlers(root: SgNode): SgNode[] {
  return ofKind(root, 'call_expression').filter((call) => {
    const method = call.field('function')?.field('property')?.text()
    if (method !== 'catch' && method !== 'then') return false
    const argumentsOfCall =
      call
        .field('arguments')
        ?.children()
        .filter((child) => child.isNamed() && child.kind() !== 'comment') ?? []
    return isIdleFunction(argumentsOfCall[method === 'catch' ? 0 : 1])
  })
}

function isIdleFunction(node: SgNode | undefined): boolean {
  if (node === undefined) return false
  if (node.kind() === 'identifier') return /^_?noop$/i.test(node.text())
  if (node.kind() !== 'arrow_function' && node.kind() !== 'function_expression') return false
  const body = node.field('body')
  return isIdleBlock(body) || /^(?:undefined|null|void 0|\(\{\}\)|\[\])$/.test(body?.text() ?? '')
}

/** `process.env`, `process['env']`, `{ env } = process`, and `env` imported from node:process. */
function environmentReads(root: SgNode): SgNode[] {
  const members = ['member_expression', 'subscript_expression']
    .flatMap((kind) => ofKind(root, kind))
    .filter((node) => {
      const name = node.field('property')?.text() ?? node.field('index')?.text() ?? ''
      return /^(?:globalThis\.)?process$/.test(node.field('object')?.text() ?? '') && /^["'`]?env["'`]?$/.test(name)
    })
  const destructured = ofKind(root, 'variable_declarator').filter((node) => {
    const isPattern = node.field('name')?.kind() === 'object_pattern'
    return isPattern && node.field('value')?.text() === 'process' && /\benv\b/.test(node.field('name')?.text() ?? '')
  })
  const imported = ofKind(root, 'import_statement').filter((node) => {
    return /^["'](?:node:)?process["']$/.test(node.field('source')?.text() ?? '') && /\benv\b/.test(node.text())
  })
  return [...members, ...destructured, ...imported].filter((node) => !isExcused(node))
}

/** The linter has the same rule for the plain form; where it is switched off for a line, with a reason, so is ours. */
function isExcused(node: SgNode): boolean {
  const lineBefore = node.getRoot().root().text().split('\n')[node.range().start.line - 1] ?? ''
  return /oxlint-disable-next-line node\/no-process-env -- \S/.test(lineBefore)
}

function mayReadEnvironment(file: string): boolean {
  const places = [/(?:^|\/)server\.ts$/, /^packages\/[^/]+\/src\/[^/]+-command\.ts$/, /^infra\//, /\/test\//]
  return places.some((place) => place.test(file)) || /^packages\/(?:testkit|e2e)\/|^vitest\.config\.ts$/.test(file)
}

/** Node runs the sources as they are and looks for exactly the file that is named. */
function importsWithoutExtension(root: SgNode): SgNode[] {
  return ['import_statement', 'export_statement']
    .flatMap((kind) => ofKind(root, kind))
    .filter((node) => {
      const source = node.field('source')?.text().slice(1, -1)
      return source !== undefined && /^\.{1,2}\//.test(source) && !/\.(?:ts|mjs|json)$/.test(source)
    })
}

/** `oxlint-disable` and its kin say after two dashes why. */
function silentSwitches(root: SgNode): SgNode[] {
  return ofKind(root, 'comment').filter(
    (comment) => /^\/[/*]\s*(?:oxlint|eslint)-disable/.test(comment.text()) && !/ -- \S/.test(comment.text()),
  )
}
