import { isScript } from '../inventory/languages.ts'
import type { SyntaxNode } from '../source/parse.ts'
import { lastName, pythonArguments, pythonCallee, pythonName, pythonString } from '../source/python.ts'
import { scriptCallee, scriptName } from '../source/script.ts'
import { linesOf } from '../source/source-file.ts'
import type { Lines, SourceFile } from '../source/source-file.ts'

export interface ClassFacts extends Lines {
  readonly name: string
  readonly bases: readonly string[]
}

/** What one file says about the agent that it belongs to. */
export interface AgentFile {
  readonly classes: readonly ClassFacts[]
  /** Servers and loops of its own: what it runs on. */
  readonly runtimes: readonly (Lines & { readonly framework: string })[]
  /** `defineAgent({…})` of a shared package. */
  readonly defines: readonly Lines[]
}

export function readAgents(file: SourceFile): AgentFile {
  if (file.entry.language === 'python') return readPython(file)
  return isScript(file.entry.language) ? readScript(file) : { classes: [], runtimes: [], defines: [] }
}

const PYTHON_SERVERS: readonly (readonly [RegExp, string])[] = [
  [/^(fastapi\.)?FastAPI$/, 'FastAPI'],
  [/^(flask\.)?Flask$/, 'Flask'],
  [/^(aiohttp\.)?web\.(Application|run_app)$/, 'aiohttp'],
  [/^(\w+\.)*Starlette$/, 'Starlette'],
  [/^(sanic\.)?Sanic$/, 'Sanic'],
  [/^(quart\.)?Quart$/, 'Quart'],
  [/^(http\.server\.)?(Threading)?HTTPServer$/, 'http.server'],
  [/^grpc\.(aio\.)?server$/, 'gRPC'],
]

function readPython(file: SourceFile): AgentFile {
  const calls = file.nodes('call')
  const servers = calls.flatMap((call) => {
    const callee = pythonCallee(call)
    const framework = PYTHON_SERVERS.find(([pattern]) => pattern.test(callee))?.[1]
    return framework === undefined ? [] : [{ ...linesOf(call), framework }]
  })
  const { packages } = file.pythonImports
  const client = ['aiohttp', 'httpx', 'requests'].find((name) => packages.has(name))
  const registers =
    client === undefined
      ? []
      : calls
          .filter(registersItself)
          .map((call) => ({ ...linesOf(call), framework: `${client} with a registration of its own` }))
  return {
    classes: file.nodes('class_definition').map(pythonClass),
    runtimes: [...servers, ...registers.slice(0, 1)],
    defines: [],
  }
}

function pythonClass(node: SyntaxNode): ClassFacts {
  const list = node.field('superclasses')
  const { line } = linesOf(node)
  return {
    name: node.field('name')?.text() ?? '',
    bases: list === null ? [] : pythonArguments(list).positional.map((base) => lastName(pythonName(base))),
    line,
    endLine: line,
  }
}

/** `client.post(f"{core}/agents/register", …)`: it keeps its own place in the registry. */
function registersItself(call: SyntaxNode): boolean {
  if (!/\.(post|put)$/.test(pythonCallee(call))) return false
  const url = pythonArguments(call).positional[0]
  return url !== undefined && /\/(register|heartbeat)\b/.test(pythonString(url) ?? url.text())
}

const SCRIPT_SERVERS: readonly (readonly [RegExp, string])[] = [
  [/^(Fastify|fastify)$/, 'Fastify'],
  [/^express$/, 'Express'],
  [/^(http\.)?createServer$/, 'http'],
  [/^(Hono|OpenAPIHono)$/, 'Hono'],
  [/^Koa$/, 'Koa'],
  [/^NestFactory\.create\w*$/, 'Nest'],
  [/^(Bun|Deno)\.serve$/, 'serve'],
]

function readScript(file: SourceFile): AgentFile {
  const calls = file.nodes('call_expression', 'new_expression')
  const runtimes = calls.flatMap((call) => {
    const callee = scriptCallee(call)
    const framework = SCRIPT_SERVERS.find(([pattern]) => pattern.test(callee))?.[1]
    return framework === undefined ? [] : [{ ...linesOf(call), framework }]
  })
  const defines = calls
    .filter((call) => /^(define|create)Agent$/.test(scriptCallee(call)) && isImported(file, scriptCallee(call)))
    .map(linesOf)
  return { classes: file.nodes('class_declaration', 'abstract_class_declaration').map(scriptClass), runtimes, defines }
}

function isImported(file: SourceFile, name: string): boolean {
  return file.scriptImports.names.has(name)
}

function scriptClass(node: SyntaxNode): ClassFacts {
  const heritage = node.children().find((child) => child.kind() === 'class_heritage')
  const clause = heritage?.children().find((child) => child.kind() === 'extends_clause')
  const base =
    clause?.field('value') ?? (clause === undefined ? heritage?.children().find((child) => child.isNamed()) : undefined)
  const { line } = linesOf(node)
  const name = base === null || base === undefined ? [] : [lastName(scriptName(base))]
  return { name: node.field('name')?.text() ?? '', bases: name, line, endLine: line }
}
