import type { AuditFinding } from '@hypercode/contracts'
import { finding } from '../rule.ts'
import type { SyntaxNode } from '../source/parse.ts'
import { FUNCTION_KINDS, isFunction, scriptCallee, unwrap } from '../source/script.ts'
import { linesOf } from '../source/source-file.ts'
import type { SourceFile } from '../source/source-file.ts'
import { VOID_PROMISE } from './rules.ts'

/**
 * `void start()` in a service. Without types nobody can tell whether the call returns a promise, so a hint: a statement
 * of its own says so, and the callee, where this file shows it, is async and does not guard its whole body itself.
 */
export function auditVoidPromises(file: SourceFile): AuditFinding[] {
  if (file.entry.role !== 'source' || !file.text.includes('void ')) return []
  const voids = file.nodes('unary_expression').filter((node) => node.field('operator')?.text() === 'void')
  if (voids.length === 0) return []
  const functions = functionsByName(file)
  return voids.flatMap((node) => {
    const call = unwrap(node.field('argument'))
    if (call?.kind() !== 'call_expression' || handlesRejection(call)) return []
    const callee = call.field('function') ?? undefined
    const target = isFunction(unwrap(callee)) ? unwrap(callee) : functions.get(lastOf(scriptCallee(call)))
    if (target === undefined ? !isStatement(node, call) : !isAsync(target) || guardsItself(target)) return []
    return [finding(VOID_PROMISE, file, linesOf(node))]
  })
}

/** `void send()` for its own sake, of something that is no plain collection. In an arrow, void only drops a value. */
function isStatement(node: SyntaxNode, call: SyntaxNode): boolean {
  return node.parent()?.kind() === 'expression_statement' && !SYNCHRONOUS.test(lastOf(scriptCallee(call)))
}

const SYNCHRONOUS =
  /^(push|unshift|set|add|delete|clear|resolve|reject|emit|write|log|debug|info|warn|error|abort|unref|ref|dispatch|append|remove)$/

function handlesRejection(call: SyntaxNode): boolean {
  return /\.(catch|finally)$/.test(scriptCallee(call)) || /\.catch\(/.test(scriptCallee(call))
}

function functionsByName(file: SourceFile): Map<string, SyntaxNode> {
  const functions = new Map<string, SyntaxNode>()
  for (const node of file.nodes(...FUNCTION_KINDS)) {
    const name = node.field('name')?.text()
    if (name !== undefined) functions.set(name.replace(/^#/, ''), node)
  }
  for (const node of file.nodes('variable_declarator')) {
    const value = unwrap(node.field('value'))
    const name = node.field('name')
    if (name?.kind() === 'identifier' && value !== undefined && isFunction(value)) functions.set(name.text(), value)
  }
  return functions
}

function isAsync(node: SyntaxNode): boolean {
  return node.children().some((child) => child.kind() === 'async')
}

/** Its body is one try statement (and perhaps declarations before it) whose catch does something. */
function guardsItself(node: SyntaxNode): boolean {
  const statements = (node.field('body')?.children() ?? []).filter(
    (child) => child.isNamed() && child.kind() !== 'comment',
  )
  return statements.some((statement) => {
    if (statement.kind() === 'try_statement') return statement.field('handler') !== null
    if (!LOOPS.has(String(statement.kind()))) return false
    const inner = statement.field('body')?.children() ?? []
    return inner.some((child) => child.kind() === 'try_statement' && child.field('handler') !== null)
  })
}

const LOOPS = new Set(['for_statement', 'while_statement', 'do_statement', 'for_in_statement'])

function lastOf(dotted: string): string {
  return dotted.slice(dotted.lastIndexOf('.') + 1).replace(/^#/, '')
}
