import type { SyntaxNode } from '../../source/parse.ts'
import {
  FUNCTION_KINDS,
  isFunction,
  propertyName,
  scriptArguments,
  scriptCallee,
  scriptName,
  unwrap,
} from '../../source/script.ts'
import { startOf } from '../../source/source-file.ts'
import type { SourceFile } from '../../source/source-file.ts'
import { enclosing, spanOf } from '../../source/spans.ts'
import type { Alias, FunctionFacts, Scope } from './facts.ts'
import { refsOf } from './refs.ts'

export interface Functions {
  readonly functions: Map<number, FunctionFacts>
  readonly named: Map<string, number>
  readonly aliases: Map<string, Alias[]>
  readonly plugins: Set<number>
}

/** Ids of the functions around each node, outermost first. Nodes must be in the order of the text. */
export function scopesOf(file: SourceFile, nodes: readonly SyntaxNode[]): Scope[] {
  const spans = file.nodes(...FUNCTION_KINDS).map((node) => spanOf(node, startOf(node)))
  return enclosing(spans, nodes.map(startOf))
}

export function readFunctions(file: SourceFile): Functions {
  const nodes = file.nodes(...FUNCTION_KINDS)
  const functions = new Map<number, FunctionFacts>()
  for (const node of nodes) functions.set(startOf(node), factsOf(node))
  const found: Functions = { functions, named: new Map(), aliases: new Map(), plugins: new Set() }
  for (const fact of functions.values()) if (fact.name !== '') found.named.set(fact.name, fact.id)
  nameVariables(file, found)
  readBodies(file, functions)
  return found
}

function factsOf(node: SyntaxNode): FunctionFacts {
  const list = node.field('parameters')
  const parameters =
    list === null
      ? [node.field('parameter')]
      : list.children().filter((child) => child.isNamed() && child.kind() !== 'comment')
  const returned = returnedName(node)
  return {
    id: startOf(node),
    name: propertyName(node.field('name')),
    parameters: parameters.map((parameter) =>
      parameter === null ? '' : (parameter.field('pattern') ?? parameter).text(),
    ),
    refuses: false,
    throws: false,
    calls: [],
    configKeys: new Set(),
    ...(returned !== undefined && { returns: returned }),
  }
}

function returnedName(node: SyntaxNode): string | undefined {
  const last = node
    .field('body')
    ?.children()
    .findLast((child) => child.kind() === 'return_statement')
  const value = unwrap(last?.children().find((child) => child.isNamed()))
  return value?.kind() === 'identifier' || value?.kind() === 'member_expression' ? scriptName(value) : undefined
}

/** `const x = () => …`, `x = function …`, `{ x: async () => … }`, `const x = fp(async (app) => …)`. */
function nameVariables(file: SourceFile, found: Functions): void {
  for (const node of file.nodes('variable_declarator', 'assignment_expression', 'pair')) {
    const kind = node.kind()
    const target = kind === 'pair' ? node.field('key') : (node.field('name') ?? node.field('left'))
    const value = unwrap(kind === 'assignment_expression' ? node.field('right') : node.field('value'))
    if (target === null || value === undefined) continue
    const full = kind === 'pair' ? propertyName(target) : scriptName(target)
    const name = full.slice(full.lastIndexOf('.') + 1)
    if (isFunction(value)) found.named.set(name, startOf(value))
    else if (kind === 'variable_declarator') readAlias(name, value, found)
  }
  // export default fp(plugin), module.exports = fp(plugin)
  for (const call of file.nodes('call_expression')) {
    if (PLUGIN.test(scriptCallee(call))) wrap(call, found)
  }
}

const PLUGIN = /^(fp|fastifyPlugin|plugin|FastifyPlugin|fastify_plugin)$/

function readAlias(name: string, value: SyntaxNode, found: Functions): void {
  const refs = refsOf(value)
  const [ref] = refs
  if (ref === undefined) return
  const known = found.aliases.get(name)
  const alias = { at: startOf(value), refs }
  if (known === undefined) found.aliases.set(name, [alias])
  else known.push(alias)
  const inner = ref.inner[0]
  if (!PLUGIN.test(ref.name) || inner?.id === undefined) return
  found.named.set(name, inner.id)
}

function wrap(call: SyntaxNode, found: Functions): void {
  const [first] = refsOf(scriptArguments(call)[0])
  const id = first?.id ?? found.named.get(first?.name ?? '')
  if (id !== undefined) found.plugins.add(id)
}

/** What the bodies call, refuse and look at. Every function around a place counts, so a factory stands for what it returns. */
function readBodies(file: SourceFile, functions: ReadonlyMap<number, FunctionFacts>): void {
  const calls = file.nodes('call_expression', 'new_expression')
  for (const [index, scope] of scopesOf(file, calls).entries()) {
    const call = calls[index]
    if (call === undefined || scope.length === 0) continue
    const callee = scriptCallee(call)
    const inner = functions.get(scope.at(-1) ?? -1)
    if (inner !== undefined && inner.calls.length < 80) inner.calls.push(callee)
    if (refuses(call, callee)) for (const id of scope) mark(functions, id, (fact) => void (fact.refuses = true))
  }
  if (/\b40[13]\b/.test(file.text)) {
    const pairs = file
      .nodes('pair')
      .filter(
        (pair) =>
          /^(status|statusCode|code|status_code)$/.test(propertyName(pair.field('key'))) &&
          /^40[13]$/.test(pair.field('value')?.text() ?? ''),
      )
    for (const scope of scopesOf(file, pairs))
      for (const id of scope) mark(functions, id, (fact) => void (fact.refuses = true))
  }
  const throwing = file.text.includes('throw') ? file.nodes('throw_statement') : []
  for (const scope of scopesOf(file, throwing))
    for (const id of scope) mark(functions, id, (fact) => void (fact.throws = true))
  readConfigKeys(file, functions)
}

function mark(functions: ReadonlyMap<number, FunctionFacts>, id: number, change: (fact: FunctionFacts) => void): void {
  const fact = functions.get(id)
  if (fact !== undefined) change(fact)
}

function refuses(call: SyntaxNode, callee: string): boolean {
  const name = callee.slice(callee.lastIndexOf('.') + 1)
  if (REFUSAL.test(name) || VERIFIER.test(callee)) return true
  const given = scriptArguments(call)
  if (SENDS.test(name)) return given.some((argument) => /^40[13]$|UNAUTHORIZED|FORBIDDEN/i.test(argument.text()))
  return call.kind() === 'new_expression' && given.some((argument) => /^40[13]$/.test(argument.text()))
}

const SENDS =
  /^(status|sendStatus|code|createError|createHttpError|throw|json|assert|writeHead|httpError|HttpError|HTTPException|Response|abort|error|fail)$/
const REFUSAL =
  /^(unauthorized|forbidden|Unauthorized\w*|Forbidden\w*|NotAuthenticated\w*|Authentication(Error|Failed)\w*|Authorization(Error|Failed)\w*|AccessDenied\w*|PermissionDenied\w*|InvalidToken\w*|InvalidCredentials\w*)$/
const VERIFIER =
  /(^|\.)(jwtVerify|verifyIdToken|verifyJWT|jwtDecrypt|timingSafeEqual|constructEvent|constructEventAsync|verifySignature|isAuthenticated|ensureAuthenticated|ensureLoggedIn|authenticateRequest|getServerSession|verifyAccessToken|verifyToken|introspectToken)$|^(jwt|jsonwebtoken|jose)\.verify$|^passport\.authenticate$/

/** `request.routeOptions.config.scopes`: the keys of a policy that a hook reads. */
function readConfigKeys(file: SourceFile, functions: ReadonlyMap<number, FunctionFacts>): void {
  if (!/routeOptions|routeConfig|context\.config|route\.config|\.config\b/.test(file.text)) return
  const nodes = file.nodes('member_expression', 'variable_declarator')
  for (const [index, scope] of scopesOf(file, nodes).entries()) {
    for (const key of keysRead(nodes[index]))
      for (const id of scope) mark(functions, id, (fact) => void fact.configKeys.add(key))
  }
}

function keysRead(node: SyntaxNode | undefined): string[] {
  if (node?.kind() === 'member_expression') {
    const key = /(?:routeOptions|context|route|opts|options|routeConfig)(?:\.config)?\.(\w+)$/.exec(scriptName(node))
    return key?.[1] === undefined || key[1] === 'config' ? [] : [key[1]]
  }
  const pattern = node?.field('name')
  if (
    pattern?.kind() !== 'object_pattern' ||
    !/(routeOptions|context|route)\.config$|routeConfig$/.test(scriptName(unwrap(node?.field('value'))))
  )
    return []
  return pattern
    .children()
    .filter((child) => child.isNamed())
    .map((child) => propertyName(child.field('key') ?? child.field('left') ?? child))
}
