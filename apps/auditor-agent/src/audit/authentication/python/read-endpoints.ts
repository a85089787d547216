import type { SyntaxNode } from '../../source/parse.ts'
import { pythonArguments, pythonCallee, pythonString } from '../../source/python.ts'
import type { PythonArguments } from '../../source/python.ts'
import { linesOf } from '../../source/source-file.ts'
import type { SourceFile } from '../../source/source-file.ts'
import type { EndpointFacts, Scope } from './facts.ts'
import { keyOf, refName } from './read-functions.ts'
import { guardsOf } from './read-routers.ts'
import { scopesOf } from './scopes.ts'

/** Routes of FastAPI, Flask and their like: those of decorators and those that are added by a call. */
export function readEndpoints(file: SourceFile): EndpointFacts[] {
  return [...decorated(file), ...added(file)]
}

const METHODS = new Set(['get', 'head', 'options', 'post', 'put', 'patch', 'delete'])
const GENERIC = new Set(['route', 'api_route', 'websocket', 'websocket_route', 'on'])

function decorated(file: SourceFile): EndpointFacts[] {
  const nodes = file.nodes('decorated_definition')
  const scopes = scopesOf(file, nodes)
  return nodes.flatMap((node, index) => {
    const definition = node.field('definition')
    if (definition?.kind() !== 'function_definition') return []
    const decorators = node.children().filter((child) => child.kind() === 'decorator')
    return decorators.flatMap((decorator) => {
      const call = decorator.children().find((child) => child.kind() === 'call')
      return call === undefined ? [] : ofDecorator(file, call, definition, scopes[index] ?? [])
    })
  })
}

function ofDecorator(file: SourceFile, call: SyntaxNode, definition: SyntaxNode, scope: Scope): EndpointFacts[] {
  const callee = pythonCallee(call)
  const dot = callee.lastIndexOf('.')
  const method = callee.slice(dot + 1)
  if (dot < 0 || !(METHODS.has(method) || GENERIC.has(method))) return []
  const given = pythonArguments(call)
  const path = pythonString(given.positional[0] ?? given.named.get('path') ?? given.named.get('rule') ?? null)
  // `@mock.patch("x.y")` and friends: a path starts with a slash, or is empty, or comes first under a router's name.
  if (path === undefined || (path !== '' && !/^[/{<]/.test(path))) return []
  const isWebSocket = method.startsWith('websocket')
  return [
    {
      line: linesOf(call).line,
      endLine: signatureEnd(definition),
      router: callee.slice(0, dot),
      scope,
      methods: isWebSocket ? [] : methodsOf(method, given),
      path,
      isWebSocket,
      handler: definition.field('name')?.text() ?? '',
      handlerKey: keyOf(definition),
      guards: guardsOf(given),
      framework: frameworkOf(file),
    },
  ]
}

/** The line where the signature of a function ends and its body is about to begin. */
function signatureEnd(definition: SyntaxNode): number {
  const before = definition.field('return_type') ?? definition.field('parameters')
  return before === null ? linesOf(definition).line : linesOf(before).endLine
}

function methodsOf(method: string, { named }: PythonArguments): string[] {
  if (METHODS.has(method)) return [method.toUpperCase()]
  const list = named.get('methods')
  if (list === undefined) return ['GET']
  return [...list.text().matchAll(/["'](\w+)["']/g)].map((match) => (match[1] ?? '').toUpperCase())
}

function frameworkOf(file: SourceFile): EndpointFacts['framework'] {
  const { packages } = file.pythonImports
  if (packages.has('fastapi') || packages.has('starlette')) return 'fastapi'
  return ['flask', 'quart', 'flask_restful', 'flask_restx'].some((name) => packages.has(name)) ? 'flask' : 'other'
}

/** `router.add_api_route("/x", handler, methods=["POST"])`, `app.add_url_rule(…)`, `app.router.add_post("/x", handler)`. */
function added(file: SourceFile): EndpointFacts[] {
  if (!/\.add_(api_)?(websocket_)?(route|url_rule|post|put|patch|delete)\b|\.add_api_websocket_route/.test(file.text))
    return []
  const calls = file.nodes('call')
  const scopes = scopesOf(file, calls)
  return calls.flatMap((call, index) => {
    const match =
      /^(.+?)(?:\.router)?\.add_(api_route|api_websocket_route|websocket_route|route|url_rule|post|put|patch|delete)$/.exec(
        pythonCallee(call),
      )
    if (match?.[1] === undefined || match[2] === undefined) return []
    const given = pythonArguments(call)
    const path = pythonString(given.positional[0] ?? given.named.get('path') ?? given.named.get('rule') ?? null)
    const handler =
      given.named.get('endpoint') ??
      given.named.get('view_func') ??
      given.named.get('handler') ??
      given.positional.slice(1).find((node) => pythonString(node) === undefined)
    if (path === undefined || handler === undefined) return []
    const isWebSocket = match[2].includes('websocket')
    const wrapped = handler.kind() === 'call' ? [{ name: refName(handler), isSecurity: false }] : []
    const inner = handler.kind() === 'call' ? pythonArguments(handler).positional[0] : handler
    return [
      {
        ...linesOf(call),
        router: match[1],
        scope: scopes[index] ?? [],
        methods: isWebSocket ? [] : methodsOf(match[2], given),
        path,
        isWebSocket,
        handler: inner === undefined ? '' : refName(inner),
        handlerKey: inner === undefined ? '' : refName(inner),
        guards: [...guardsOf(given), ...wrapped],
        framework: frameworkOf(file),
      },
    ]
  })
}
