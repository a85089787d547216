import type { SyntaxNode } from '../source/parse.ts'
import { lastName, pythonArguments, pythonCallee, pythonName } from '../source/python.ts'
import { isCommandLine, runsAsService } from '../source/runtime.ts'
import { linesOf } from '../source/source-file.ts'
import type { Lines, SourceFile } from '../source/source-file.ts'
import { enclosing, spanOf } from '../source/spans.ts'

/** What one Python file says about logging. */
export interface PythonLogging {
  readonly isService: boolean
  readonly isCommandLine: boolean
  /** It sets up, or writes, structured logs. */
  readonly structured: boolean
  /** Calls that set up plain text: basicConfig, dictConfig and Formatter with a text format. */
  readonly plainSetups: readonly Lines[]
  /** The first call that logs, through the root logger if there is one. */
  readonly firstCall?: Lines
  readonly usesRootLogger: boolean
  readonly prints: readonly Lines[]
  /** Modules that it imports, as the project knows them; filled in by the audit. */
  readonly imports: readonly string[]
}

export function readPythonLogging(file: SourceFile, imports: readonly string[]): PythonLogging {
  const calls = /\blog|print|traceback/i.test(file.text) ? file.nodes('call') : []
  const inMain = insideMain(file, calls)
  const live = calls.filter((_, index) => inMain[index] !== true)
  const logging = live.filter((call) => LOGS.test(pythonCallee(call)))
  const first = logging.find((call) => pythonCallee(call).startsWith('logging.')) ?? logging[0]
  return {
    isService: runsAsService(file),
    isCommandLine: isCommandLine(file),
    structured: isStructured(file),
    plainSetups: live.filter(setsUpPlainText).map(linesOf),
    ...(first !== undefined && { firstCall: linesOf(first) }),
    usesRootLogger: first !== undefined && pythonCallee(first).startsWith('logging.'),
    prints: live.filter(isPrint).map(linesOf),
    imports,
  }
}

const LOGS = /^(logging|_?logger|_?log|self\._?log(ger)?)\.(debug|info|warn|warning|error|exception|critical)$/i

function isPrint(call: SyntaxNode): boolean {
  const callee = pythonCallee(call)
  return callee === 'print' || callee === 'pprint' || callee === 'traceback.print_exc'
}

function setsUpPlainText(call: SyntaxNode): boolean {
  const callee = pythonCallee(call)
  if (callee === 'logging.basicConfig' || callee === 'basicConfig') return !MENTIONS_JSON.test(call.text())
  if (/(^|\.)dictConfig$/.test(callee)) {
    const [config] = pythonArguments(call).positional
    return config?.kind() === 'dictionary' && !MENTIONS_JSON.test(config.text())
  }
  return false
}

const MENTIONS_JSON = /json|structlog|ecs|logstash|gelf/i

function isStructured(file: SourceFile): boolean {
  const { packages } = file.pythonImports
  if (
    [
      'structlog',
      'pythonjsonlogger',
      'json_log_formatter',
      'ecs_logging',
      'logstash_async',
      'aws_lambda_powertools',
      'jsonlogger',
      'json_logging',
    ].some((name) => packages.has(name))
  ) {
    return true
  }
  if ([...file.pythonImports.names.values()].some(({ module }) => module === 'google.cloud.logging')) return true
  if (packages.has('loguru')) return file.nodes('call').some(serializes)
  if (/dictConfig|LOGGING\b/.test(file.text) && /jsonlogger|JsonFormatter|json_log|structlog/i.test(file.text))
    return true
  return file.text.includes('Formatter') && file.nodes('class_definition').some(isJsonFormatter)
}

function serializes(call: SyntaxNode): boolean {
  return lastName(pythonCallee(call)) === 'add' && pythonArguments(call).named.get('serialize')?.kind() === 'true'
}

/** `class JsonFormatter(logging.Formatter)` whose format() writes JSON. */
function isJsonFormatter(node: SyntaxNode): boolean {
  const bases = pythonArguments(node.field('superclasses') ?? node).positional.map(pythonName)
  if (!bases.some((base) => lastName(base).endsWith('Formatter'))) return false
  return node
    .findAll({ rule: { kind: 'call' } })
    .some((call) => /^(json|orjson|ujson|msgspec\.json)\.(dumps|encode)$/.test(pythonCallee(call)))
}

/** Which nodes stand in an `if __name__ == "__main__"` block: that part is run by hand. */
function insideMain(file: SourceFile, nodes: readonly SyntaxNode[]): boolean[] {
  if (!file.text.includes('__main__')) return []
  const blocks = file
    .nodes('if_statement')
    .filter((node) => /__name__.*__main__|__main__.*__name__/.test(node.field('condition')?.text() ?? ''))
  const spans = blocks.map((node) => spanOf(node, true))
  return enclosing(
    spans,
    nodes.map((node) => node.range().start.index),
  ).map((around) => around.length > 0)
}
