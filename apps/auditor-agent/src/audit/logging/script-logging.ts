import type { SyntaxNode } from '../source/parse.ts'
import { objectLiteral, scriptArguments, scriptCallee, scriptString } from '../source/script.ts'
import { isCommandLine, runsAsService } from '../source/runtime.ts'
import { linesOf } from '../source/source-file.ts'
import type { Lines, SourceFile } from '../source/source-file.ts'

/** What one TypeScript or JavaScript file says about logging. */
export interface ScriptLogging {
  readonly isService: boolean
  readonly isCommandLine: boolean
  /** It imports a logger, or a framework that brings one. */
  readonly hasLogger: boolean
  readonly plainSetups: readonly (Lines & { readonly title: string; readonly isCertain: boolean })[]
  readonly accessLogs: readonly Lines[]
  readonly consoleCalls: readonly Lines[]
}

export function readScriptLogging(file: SourceFile): ScriptLogging {
  const calls = /console|winston|createLogger|pino|morgan|NestFactory/.test(file.text)
    ? file.nodes('call_expression')
    : []
  const { sources } = file.scriptImports
  return {
    isService: runsAsService(file),
    isCommandLine: isCommandLine(file),
    hasLogger: [...sources].some((source) => LOGGER.test(source)),
    plainSetups: [...winston(file, calls), ...prettyPino(file), ...nest(file, calls)],
    accessLogs: sources.has('morgan') ? calls.filter(isPlainMorgan).map(linesOf) : [],
    consoleCalls: calls.filter((call) => CONSOLE.test(scriptCallee(call)) && !precedesExit(call)).map(linesOf),
  }
}

const LOGGER =
  /^(pino|pino-http|winston|bunyan|log4js|roarr|tslog|consola|loglevel|nestjs-pino|nest-winston|fastify|@hypercode\/(telemetry|base-agent|http)|@google-cloud\/logging.*|@aws-lambda-powertools\/logger)$/
const CONSOLE = /^console\.(log|info|warn|error|debug|trace|dir|table)$/

type Setup = ScriptLogging['plainSetups'][number]

function winston(file: SourceFile, calls: readonly SyntaxNode[]): Setup[] {
  if (!file.scriptImports.sources.has('winston')) return []
  // A json() anywhere in the file is taken as the production form.
  if (calls.some((call) => /(^|\.)(json|logstash)$/.test(scriptCallee(call)))) return []
  return calls
    .filter(
      (call) =>
        /(^|\.)createLogger$/.test(scriptCallee(call)) &&
        /\b(simple|printf|cli|prettyPrint|colorize)\(/.test(call.text()),
    )
    .map((call) => ({ ...linesOf(call), title: 'winston writes plain text', isCertain: true }))
}

function prettyPino(file: SourceFile): Setup[] {
  if (!file.text.includes('pino-pretty')) return []
  return file.nodes('pair').flatMap((pair) => {
    if (scriptString(pair.field('value')) !== 'pino-pretty' || pair.field('key')?.text() !== 'target') return []
    const depends = pair.ancestors().some((node) => CONDITIONAL.has(String(node.kind())))
    return depends ? [] : [{ ...linesOf(pair), title: 'pino-pretty is used in every environment', isCertain: false }]
  })
}

const CONDITIONAL = new Set(['ternary_expression', 'binary_expression', 'if_statement', 'switch_statement'])

/** Nest's own console logger writes coloured text unless it is told otherwise. */
function nest(file: SourceFile, calls: readonly SyntaxNode[]): Setup[] {
  if (/useLogger|bufferLogs|nestjs-pino|nest-winston|json: ?true/.test(file.text)) return []
  return calls
    .filter((call) => scriptCallee(call).startsWith('NestFactory.create'))
    .filter((call) => !scriptArguments(call).some((argument) => objectLiteral(argument)?.names.has('logger') === true))
    .map((call) => ({ ...linesOf(call), title: 'Nest logs through its plain-text console logger', isCertain: false }))
}

function isPlainMorgan(call: SyntaxNode): boolean {
  return scriptCallee(call) === 'morgan' && scriptString(scriptArguments(call)[0]) !== undefined
}

/** The last word of a process that cannot go on: `console.error(…); process.exit(1)`. */
function precedesExit(call: SyntaxNode): boolean {
  if (scriptCallee(call) !== 'console.error') return false
  const next = call.parent()?.next()
  return next?.text().startsWith('process.exit') === true
}
