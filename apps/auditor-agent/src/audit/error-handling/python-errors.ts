import type { AuditFinding } from '@hypercode/contracts'
import type { SyntaxNode } from '../source/parse.ts'
import { lastName, pythonArguments, pythonCallee, pythonName, pythonStatements } from '../source/python.ts'
import { linesOf } from '../source/source-file.ts'
import type { SourceFile } from '../source/source-file.ts'
import { finding, priorityIn } from '../rule.ts'
import type { Place, Rule } from '../rule.ts'
import { auditLostTasks } from './python-tasks.ts'
import { SILENT_FALLBACK, SUPPRESSED_ALL, SWALLOWED, SWALLOWED_SPECIFIC, UNLOGGED } from './rules.ts'

export function auditPythonErrors(file: SourceFile): AuditFinding[] {
  const handlers = file.text.includes('except') ? file.nodes('try_statement').flatMap((node) => ofTry(file, node)) : []
  const suppressed = file.text.includes('suppress') ? ofSuppress(file) : []
  return [...handlers, ...suppressed, ...auditLostTasks(file)]
}

/** How the body of a handler ends the matter. */
type Body = 'nothing' | 'constant' | 'unlogged' | 'handled'

function ofTry(file: SourceFile, statement: SyntaxNode): AuditFinding[] {
  const clauses = statement.children().filter((child) => String(child.kind()).startsWith('except_'))
  return clauses.flatMap((clause) => {
    const types = caughtTypes(clause)
    const body = bodyOf(clause)
    if (body === 'handled') return []
    const isBare = types.length === 0
    const isBroad = isBare || types.some((type) => BROAD.has(lastName(type)))
    return isBroad ? broad(file, statement, clause, body, isBare) : narrow(file, statement, clause, body, types)
  })
}

function broad(file: SourceFile, tryNode: SyntaxNode, clause: SyntaxNode, body: Body, isBare: boolean): AuditFinding[] {
  const place = placeOf(file, clause)
  if (body === 'nothing') {
    const effort = effortOf(tryNode)
    if (effort === 'import') return []
    if (effort === 'cleanup') return [report(SWALLOWED, file, place, { priority: 'P1', confidence: 'medium' })]
    return [report(SWALLOWED, file, place, {})]
  }
  if (isBare) return [report(UNLOGGED, file, place, {})]
  return body === 'constant' && effortOf(tryNode) !== 'import' ? [report(SILENT_FALLBACK, file, place, {})] : []
}

/** Dropping one named exception is mostly right (a missing key, a closed socket); dropping that of a dependency is not. */
function narrow(
  file: SourceFile,
  tryNode: SyntaxNode,
  clause: SyntaxNode,
  body: Body,
  types: string[],
): AuditFinding[] {
  if (body !== 'nothing' || effortOf(tryNode) === 'cleanup') return []
  const [dependency] = types.filter((type) => DEPENDENCY_ERROR.test(lastName(type)))
  if (dependency === undefined) return []
  return [report(SWALLOWED_SPECIFIC, file, placeOf(file, clause), { title: `${dependency} is dropped without a word` })]
}

function report(rule: Rule, file: SourceFile, place: Place, change: Partial<Place>): AuditFinding {
  const priority = priorityIn(file.entry.role, change.priority ?? rule.priority)
  return finding(rule, file, { ...place, ...change, priority })
}

function placeOf(file: SourceFile, clause: SyntaxNode): Place {
  const { line, endLine } = linesOf(clause)
  // A comment behind the last statement belongs to the clause in the tree; the code ends at the statement.
  let last = endLine
  while (last > line && /^\s*(#.*)?$/.test(file.lines[last - 1] ?? '')) last--
  return { line, endLine: last }
}

const BROAD = new Set(['Exception', 'BaseException'])
const DEPENDENCY_ERROR =
  /^(SQLAlchemyError|DBAPIError|DatabaseError|OperationalError|InterfaceError|PostgresError|PrismaError|RedisError|PyMongoError|KafkaError|AMQPError|AMQPConnectionError|ClientError|BotoCoreError|HTTPError|HTTPStatusError|RequestException|RequestError|RpcError)$/

function caughtTypes(clause: SyntaxNode): string[] {
  const value = clause.field('value') ?? undefined
  const bare = value?.kind() === 'as_pattern' ? (value.child(0) ?? undefined) : value
  if (bare === undefined) return []
  if (bare.kind() !== 'tuple') return [pythonName(bare)]
  return bare
    .children()
    .filter((child) => child.isNamed() && child.kind() !== 'comment')
    .map((child) => pythonName(child))
}

function bodyOf(clause: SyntaxNode): Body {
  const block = clause.children().find((child) => child.kind() === 'block')
  const statements = pythonStatements(block)
  if (statements.every(doesNothing)) return 'nothing'
  if (statements.every((statement) => doesNothing(statement) || isConstantReturn(statement))) return 'constant'
  return block !== undefined && speaksUp(block, clause) ? 'handled' : 'unlogged'
}

function doesNothing(statement: SyntaxNode): boolean {
  const kind = statement.kind()
  if (kind === 'pass_statement' || kind === 'continue_statement' || kind === 'break_statement') return true
  if (kind !== 'expression_statement') return false
  const inner = statement.child(0)?.kind()
  return inner === 'ellipsis' || inner === 'string' || inner === 'none'
}

function isConstantReturn(statement: SyntaxNode): boolean {
  if (statement.kind() !== 'return_statement') return false
  const value = statement.children().find((child) => child.isNamed())
  return value === undefined || CONSTANTS.has(String(value.kind())) || isEmptyCollection(value)
}

const CONSTANTS = new Set(['none', 'true', 'false', 'integer', 'float', 'string'])

function isEmptyCollection(node: SyntaxNode): boolean {
  return (
    ['list', 'dictionary', 'tuple'].includes(String(node.kind())) && !node.children().some((child) => child.isNamed())
  )
}

/** It raises, calls something that looks like logging or reporting, or at least uses the exception. */
function speaksUp(block: SyntaxNode, clause: SyntaxNode): boolean {
  if (block.find({ rule: { kind: 'raise_statement' } }) !== null) return true
  const target = clause.field('alias') ?? clause.field('value')?.field('alias')
  const name = target?.text()
  if (name !== undefined && block.find({ rule: { kind: 'identifier', regex: `^${name}$` } }) !== null) return true
  return block.findAll({ rule: { kind: 'call' } }).some((call) => SPEAKING.test(pythonCallee(call)))
}

const SPEAKING =
  /(^|[._])(log|logger|logging|log_\w+|warn|warning|error|exception|critical|debug|info|print|print_exc|capture_exception|capture_message|record_exception|notify|report\w*|abort|exit|_exit|fail|send_error|set_exception|inc|increment)$|\blog(ger|ging)?\./i

type Effort = 'import' | 'cleanup' | 'work'

/** What was being tried: an optional import and a best-effort clean-up may fail without much harm. */
function effortOf(tryNode: SyntaxNode): Effort {
  const statements = pythonStatements(
    tryNode.field('body') ?? tryNode.children().find((child) => child.kind() === 'block'),
  )
  if (statements.length > 0 && statements.every((statement) => String(statement.kind()).startsWith('import_')))
    return 'import'
  const [only] = statements
  if (statements.length !== 1 || only?.kind() !== 'expression_statement') return 'work'
  const expression = only.child(0)
  const call = expression?.kind() === 'await' ? expression.child(1) : expression
  return call?.kind() === 'call' && CLEANUP.test(lastName(pythonCallee(call))) ? 'cleanup' : 'work'
}

const CLEANUP =
  /^(a?close|wait_closed|disconnect|shutdown|stop|cancel|terminate|kill|unlink|remove|rmtree|cleanup|quit|release|rollback|unsubscribe|dispose|join)$/

function ofSuppress(file: SourceFile): AuditFinding[] {
  return file.nodes('with_item').flatMap((item) => {
    const value = item.field('value') ?? item.child(0)
    const call = value?.kind() === 'as_pattern' ? value.child(0) : value
    if (call?.kind() !== 'call' || lastName(pythonCallee(call)) !== 'suppress') return []
    const { positional } = pythonArguments(call)
    if (!positional.some((type) => BROAD.has(lastName(pythonName(type))))) return []
    const statement = item.ancestors().find((ancestor) => ancestor.kind() === 'with_statement')
    const statements = pythonStatements(statement?.field('body'))
    const inner = statements.length === 1 ? statements[0]?.child(0) : undefined
    const inside = inner?.kind() === 'await' ? inner.child(1) : inner
    const isCleanup = inside?.kind() === 'call' && CLEANUP.test(lastName(pythonCallee(inside)))
    const { line } = linesOf(item)
    return [
      report(SUPPRESSED_ALL, file, { line, endLine: line }, isCleanup ? { priority: 'P1', confidence: 'medium' } : {}),
    ]
  })
}
