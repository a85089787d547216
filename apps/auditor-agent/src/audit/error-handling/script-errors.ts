import type { AuditFinding } from '@hypercode/contracts'
import { finding, priorityIn } from '../rule.ts'
import type { Place, Rule } from '../rule.ts'
import type { SyntaxNode } from '../source/parse.ts'
import { isFunction, scriptArguments, scriptCallee, scriptString, unwrap } from '../source/script.ts'
import { linesOf } from '../source/source-file.ts'
import type { SourceFile } from '../source/source-file.ts'
import { EMPTY_CATCH, EMPTY_LISTENER, EMPTY_REJECTION, SILENT_FALLBACK } from './rules.ts'
import { auditVoidPromises } from './void-promises.ts'

export function auditScriptErrors(file: SourceFile): AuditFinding[] {
  const found: AuditFinding[] = []
  if (file.text.includes('catch')) {
    found.push(...file.nodes('catch_clause').flatMap((clause) => ofCatch(file, clause)))
  }
  if (/\.(catch|then|on|once)\b/.test(file.text)) {
    found.push(...file.nodes('call_expression').flatMap((call) => ofCall(file, call)))
  }
  return [...found, ...auditVoidPromises(file)]
}

function ofCatch(file: SourceFile, clause: SyntaxNode): AuditFinding[] {
  const body = clause.field('body')
  const effect = body === null ? 'work' : effectOf(body)
  if (effect === 'work') return []
  const place = linesOf(clause)
  if (effect === 'constant') {
    return isProbe(clause) || !awaits(clause)
      ? []
      : [report(SILENT_FALLBACK, file, place, { title: 'Any error turns silently into a default value' })]
  }
  if (isProbe(clause)) return [report(EMPTY_CATCH, file, place, { priority: 'P2', confidence: 'low' })]
  const isCommented = effect === 'comment'
  const change: Partial<Place> = isCommented
    ? { title: 'A catch holds nothing but a comment', confidence: 'medium' }
    : {}
  if (isCleanup(clause.prev() ?? clause.parent()?.field('body') ?? undefined)) {
    return [report(EMPTY_CATCH, file, place, { ...change, priority: 'P1', confidence: 'medium' })]
  }
  return [report(EMPTY_CATCH, file, place, change)]
}

function ofCall(file: SourceFile, call: SyntaxNode): AuditFinding[] {
  const callee = call.field('function')
  if (callee?.kind() !== 'member_expression') return []
  const method = callee.field('property')?.text()
  if (method === 'catch') return ofRejection(file, call, scriptArguments(call)[0])
  if (method === 'then') return ofRejection(file, call, scriptArguments(call)[1], true)
  if (method === 'on' || method === 'once') return ofListener(file, call)
  return []
}

function ofRejection(
  file: SourceFile,
  call: SyntaxNode,
  handler: SyntaxNode | undefined,
  asksOnly = false,
): AuditFinding[] {
  const effect = handlerEffect(handler)
  if (effect === undefined || effect === 'work') return []
  const { endLine } = linesOf(call)
  const place = { line: handler === undefined ? endLine : Math.min(linesOf(handler).line, endLine), endLine }
  if (effect === 'constant') {
    // `then(() => true, () => false)` and `catch(() => false)` ask whether something works; the answer is the error.
    if (asksOnly || /=>\s*\(?(true|false)\)?$/.test(handler?.text() ?? '')) return []
    return [report(SILENT_FALLBACK, file, place, { title: 'Any rejection turns silently into a default value' })]
  }
  const change: Partial<Place> = effect === 'nothing' ? {} : { confidence: 'medium' }
  const source = unwrap(call.field('function')?.field('object'))
  const isClosing = source?.kind() === 'call_expression' && CLEANUP.test(lastOf(scriptCallee(source)))
  return [report(EMPTY_REJECTION, file, place, isClosing ? { priority: 'P1', confidence: 'medium' } : change)]
}

function ofListener(file: SourceFile, call: SyntaxNode): AuditFinding[] {
  const [event, handler] = scriptArguments(call)
  const name = scriptString(event)
  const isGlobal = name === 'unhandledRejection' || name === 'uncaughtException'
  if (name !== 'error' && !isGlobal) return []
  const effect = handlerEffect(handler)
  if (effect !== 'nothing' && effect !== 'comment' && effect !== 'nullish') return []
  const change: Partial<Place> = isGlobal
    ? { priority: 'P0', confidence: 'high', title: `${name} is caught and ignored for the whole process` }
    : STORES.test(scriptCallee(call))
      ? {}
      : { priority: 'P2', confidence: 'low' }
  return [report(EMPTY_LISTENER, file, linesOf(call), change)]
}

const STORES =
  /(pool|redis|client|db|database|connection|conn|subscriber|publisher|consumer|producer|queue|worker)\.(on|once)$/i

function report(rule: Rule, file: SourceFile, place: Place, change: Partial<Place>): AuditFinding {
  return finding(rule, file, {
    ...place,
    ...change,
    priority: priorityIn(file.entry.role, change.priority ?? rule.priority),
  })
}

/** What a block or a handler does with an error. */
type Effect = 'nothing' | 'comment' | 'nullish' | 'constant' | 'work'

function handlerEffect(handler: SyntaxNode | undefined): Effect | undefined {
  const bare = unwrap(handler)
  if (bare === undefined) return undefined
  if (bare.kind() === 'identifier') return /^_?no-?op$/i.test(bare.text()) ? 'nothing' : 'work'
  if (bare.kind() === 'member_expression') return /(^|[._])no-?op$/i.test(bare.text()) ? 'nothing' : 'work'
  if (!isFunction(bare)) return undefined
  const body = bare.field('body')
  if (body?.kind() === 'statement_block') return effectOf(body)
  return isNullish(body) ? 'nullish' : isConstant(body) ? 'constant' : 'work'
}

function effectOf(block: SyntaxNode): Effect {
  const children = block.children().filter((child) => child.isNamed())
  const statements = children.filter((child) => child.kind() !== 'comment' && child.kind() !== 'empty_statement')
  if (statements.length === 0) return children.some((child) => child.kind() === 'comment') ? 'comment' : 'nothing'
  const [only] = statements
  if (statements.length > 1 || only === undefined) return 'work'
  if (only.kind() === 'continue_statement' || only.kind() === 'break_statement') return 'constant'
  if (only.kind() !== 'return_statement') return 'work'
  const value = only.children().find((child) => child.isNamed() && child.kind() !== 'comment')
  return value === undefined || isNullish(value) || isConstant(value) ? 'constant' : 'work'
}

function isNullish(node: SyntaxNode | null | undefined): boolean {
  const bare = unwrap(node)
  if (bare === undefined) return false
  return /^(null|undefined|void 0)$/.test(bare.text())
}

function isConstant(node: SyntaxNode | null | undefined): boolean {
  const bare = unwrap(node)
  if (bare === undefined) return false
  const kind = String(bare.kind())
  if (kind === 'array' || kind === 'object') return !bare.children().some((child) => child.isNamed())
  return kind === 'true' || kind === 'false' || kind === 'number' || scriptString(bare) !== undefined
}

/** Waits for something outside of this process, which can fail in more ways than one. */
function awaits(clause: SyntaxNode): boolean {
  return (
    clause
      .parent()
      ?.field('body')
      ?.find({ rule: { kind: 'await_expression' } }) !== null
  )
}

/** The guarded code only asks whether something parses or exists; its error is the answer. */
function isProbe(clause: SyntaxNode): boolean {
  const body = clause.parent()?.field('body')
  const statements = (body?.children() ?? []).filter((child) => child.isNamed() && child.kind() !== 'comment')
  if (statements.length === 0 || statements.length > 2) return false
  const calls = body?.findAll({ rule: { any: [{ kind: 'call_expression' }, { kind: 'new_expression' }] } }) ?? []
  return calls.length > 0 && calls.every((call) => PROBE.test(scriptCallee(call)))
}

const PROBE =
  /^(JSON\.parse|URL|RegExp|decodeURIComponent|decodeURI|atob|BigInt|require|require\.resolve|import\.meta\.resolve|structuredClone|new URL|Intl\.\w+|(window\.|globalThis\.)?(local|session)Storage\.\w+|(fs\.|fsp\.)?(access|stat|lstat|exists)(Sync)?|process\.kill)$/

const CLEANUP =
  /^(close|closeAll|end|destroy|quit|disconnect|dispose|stop|shutdown|kill|cancel|abort|terminate|unref|unlink|unlinkSync|rm|rmSync|release|releaseLock|unsubscribe|rollback|return|pause)$/

function isCleanup(body: SyntaxNode | undefined): boolean {
  const statements = (body?.children() ?? []).filter((child) => child.isNamed() && child.kind() !== 'comment')
  const [only] = statements
  if (statements.length !== 1 || only?.kind() !== 'expression_statement') return false
  const call = unwrap(only.child(0))
  return call?.kind() === 'call_expression' && CLEANUP.test(lastOf(scriptCallee(call)))
}

function lastOf(dotted: string): string {
  return dotted.slice(dotted.lastIndexOf('.') + 1)
}
