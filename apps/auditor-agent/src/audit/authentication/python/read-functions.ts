import type { SyntaxNode } from '../../source/parse.ts'
import { lastName, pythonArguments, pythonCallee, pythonName } from '../../source/python.ts'
import type { SourceFile } from '../../source/source-file.ts'
import { startOf } from '../../source/source-file.ts'
import { enclosing, spanOf } from '../../source/spans.ts'
import type { FunctionFacts, Ref, VariableFacts } from './facts.ts'
import { scopesOf } from './scopes.ts'

/** Every function of the file by its name and by where it starts; methods also as `Class.method`. */
export function readFunctions(file: SourceFile): Map<string, FunctionFacts> {
  const nodes = file.nodes('function_definition')
  const scopes = scopesOf(file, nodes)
  const calls = callsWithin(file, nodes)
  const functions = new Map<string, FunctionFacts>()
  const facts = nodes.map((node, index) => functionFacts(node, scopes[index]?.slice(0, -1) ?? [], calls[index] ?? []))
  for (const [index, fact] of facts.entries()) {
    const node = nodes[index]
    if (node !== undefined) functions.set(keyOf(node), fact)
    functions.set(fact.name, fact)
    const owner = fact.scope.at(-1)
    if (owner !== undefined) functions.set(`${owner}.${fact.name}`, fact)
  }
  markRefusals(file, nodes, facts)
  return functions
}

export function keyOf(definition: SyntaxNode): string {
  return `@${startOf(definition)}`
}

function functionFacts(node: SyntaxNode, scope: readonly string[], calls: readonly string[]): FunctionFacts {
  const parameters = (node.field('parameters')?.children() ?? []).filter((child) => child.isNamed())
  const returned = returnedName(node)
  return {
    name: node.field('name')?.text() ?? '',
    scope,
    dependencies: parameters.flatMap(dependenciesOf),
    decorators: decoratorsOf(node),
    refuses: false,
    calls,
    parameters: parameters.map(parameterName),
    ...(returned !== undefined && { returns: returned }),
  }
}

function parameterName(parameter: SyntaxNode): string {
  return (
    parameter.field('name')?.text() ??
    (parameter.kind() === 'identifier' ? parameter.text() : (parameter.child(0)?.text() ?? ''))
  )
}

/** Names that a function returns at the end of its own body. */
function returnedName(node: SyntaxNode): string | undefined {
  const last = node
    .field('body')
    ?.children()
    .findLast((child) => child.kind() === 'return_statement')
  const value = last?.children().find((child) => child.isNamed())
  return value?.kind() === 'identifier' || value?.kind() === 'attribute' ? pythonName(value) : undefined
}

/** The decorators around a function or a class. */
export function decoratorsOf(definition: SyntaxNode): Ref[] {
  const parent = definition.parent()
  if (parent?.kind() !== 'decorated_definition') return []
  return parent
    .children()
    .filter((child) => child.kind() === 'decorator')
    .map((decorator) => decorator.children().find((child) => child.isNamed()))
    .filter((expression) => expression !== undefined)
    .map((expression) => ({
      name: expression.kind() === 'call' ? pythonCallee(expression) : pythonName(expression),
      isSecurity: false,
    }))
    .filter(({ name }) => !ROUTES.test(name))
}

/** `@auth_router.post(…)` is a route, whatever its router is called. */
const ROUTES =
  /\.(get|head|options|post|put|patch|delete|route|api_route|websocket|websocket_route|middleware|before_request|after_request|errorhandler|exception_handler|on_event|command|task|listens_for)$/

/** `x = Depends(f)`, `x: Annotated[T, Depends(f)]`, `x: CurrentUser`, `x: T = Depends()`. */
function dependenciesOf(parameter: SyntaxNode): Ref[] {
  const found = dependsIn(parameter)
  const type = parameter.field('type')
  if (found.length > 0 || type === null) return found
  return typeNames(type).map((name) => ({ name, isSecurity: false, isType: true }))
}

/** The functions inside of every Depends(…) and Security(…) in an expression. */
export function dependsIn(node: SyntaxNode | null | undefined): Ref[] {
  if (node === null || node === undefined || !/Depends|Security/.test(node.text())) return []
  return node.findAll({ rule: { kind: 'call' } }).flatMap((call) => {
    const callee = lastName(pythonCallee(call))
    if (callee !== 'Depends' && callee !== 'Security') return []
    const { positional, named } = pythonArguments(call)
    const target = positional[0] ?? named.get('dependency')
    const isSecurity = callee === 'Security'
    if (target !== undefined) return [{ name: refName(target), isSecurity }]
    const type = call.parent()?.field('type')
    return typeNames(type).map((name) => ({ name, isSecurity }))
  })
}

/** The name that an expression goes by: of a call what is called, of a lambda what it calls. */
export function refName(node: SyntaxNode): string {
  if (node.kind() === 'call') return pythonCallee(node)
  if (node.kind() === 'lambda') {
    const call = node.find({ rule: { kind: 'call' } })
    return call === null ? '' : pythonCallee(call)
  }
  return pythonName(node)
}

function typeNames(type: SyntaxNode | null | undefined): string[] {
  if (type === null || type === undefined) return []
  return type.findAll({ rule: { any: [{ kind: 'identifier' }] } }).map((name) => name.text())
}

function callsWithin(file: SourceFile, functions: readonly SyntaxNode[]): string[][] {
  const within = functions.map((): string[] => [])
  const spans = functions.map((node, index) => spanOf(node, index))
  const calls = file.nodes('call')
  const around = enclosing(spans, calls.map(startOf))
  for (const [index, call] of calls.entries()) {
    const inner = around[index]?.at(-1)
    if (inner !== undefined && (within[inner]?.length ?? 0) < 80) within[inner]?.push(pythonCallee(call))
  }
  return within
}

/** Marks the functions around every place that turns callers away, so a factory counts for what it returns. */
function markRefusals(file: SourceFile, nodes: readonly SyntaxNode[], facts: readonly FunctionFacts[]): void {
  const spans = nodes.map((node, index) => spanOf(node, index))
  const refusals = [...file.nodes('call').filter(refuses), ...otherRefusals(file)].sort(
    (a, b) => startOf(a) - startOf(b),
  )
  for (const around of enclosing(spans, refusals.map(startOf))) {
    for (const index of around) {
      const fact = facts[index]
      if (fact !== undefined) fact.refuses = true
    }
  }
}

function refuses(call: SyntaxNode): boolean {
  const callee = pythonCallee(call)
  const name = lastName(callee)
  if (REFUSAL_NAME.test(name) || VERIFIER.test(callee)) return true
  if (!ANSWER.test(name)) return false
  const { positional, named } = pythonArguments(call)
  const status =
    named.get('status_code') ??
    named.get('status') ??
    named.get('code') ??
    named.get('status_code_') ??
    (/^(HTTPException|abort|HttpResponse)$/.test(name) ? positional[0] : positional[1])
  const text = status?.text() ?? ''
  if (/\b40[13]\b|UNAUTHORIZED|FORBIDDEN/i.test(text)) return true
  return name === 'close' && /\b(1008|400[0-9]|440[13]|WS_1008)/.test((status ?? positional[0])?.text() ?? '')
}

const ANSWER =
  /^(HTTPException|abort|JSONResponse|Response|PlainTextResponse|ORJSONResponse|HttpResponse|JsonResponse|make_response|json_response|json|close|HTTPError|WebSocketException|AppError|APIException|ApiError|error_response|send_error)$/
const REFUSAL_NAME =
  /(Unauthori[sz]ed|Forbidden|NotAuthenticated|AuthenticationFailed|PermissionDenied|PermissionError|CredentialsException|CredentialsError|InvalidToken|InvalidCredentials|AuthError|AuthException|AuthenticationError|AuthorizationError|AccessDenied|NotAuthorized)/
const VERIFIER =
  /^(jwt|jose\.jwt|jose_jwt|pyjwt)\.decode$|(^|\.)(verify_jwt_in_request|compare_digest|verify_id_token|construct_event|verify_signature|validate_signature|check_signature|verify_token|decode_token|check_permissions|check_object_permissions|login_required|user_passes_test)$/

/** `return {…}, 401` and `request.user.is_authenticated`. */
function otherRefusals(file: SourceFile): SyntaxNode[] {
  const found: SyntaxNode[] = []
  if (/\b40[13]\b/.test(file.text)) {
    found.push(
      ...file
        .nodes('return_statement')
        .filter((node) => /,\s*(40[13]|HTTPStatus\.(UNAUTHORIZED|FORBIDDEN))\s*\)?$/.test(node.text())),
    )
  }
  if (/is_authenticated|current_user\b/.test(file.text)) {
    found.push(...file.nodes('attribute').filter((node) => node.field('attribute')?.text() === 'is_authenticated'))
  }
  if (/\bsession\b/.test(file.text)) {
    found.push(
      ...file
        .nodes('comparison_operator')
        .filter((node) => /^["']\w*(user|uid|login|account)\w*["'] (not )?in (flask\.)?session$/.test(node.text())),
    )
  }
  return found
}

/** Module-level variables that may stand for dependencies: schemes, aliases, lists, instances. */
export function readVariables(file: SourceFile): Map<string, VariableFacts> {
  const variables = new Map<string, VariableFacts>()
  const nodes = file.nodes('assignment', 'type_alias_statement')
  const scopes = scopesOf(file, nodes)
  for (const [index, node] of nodes.entries()) {
    if ((scopes[index]?.length ?? 0) > 0) continue
    const isAlias = node.kind() === 'type_alias_statement'
    const left = isAlias ? (node.field('left') ?? node.child(1)) : node.field('left')
    const right = isAlias ? (node.field('right') ?? node.child(3)) : node.field('right')
    if (left === null || right === null || (left.kind() !== 'identifier' && !isAlias)) continue
    variables.set(left.text(), variableFacts(right))
  }
  return variables
}

function variableFacts(right: SyntaxNode): VariableFacts {
  const kind = right.kind()
  const isList = kind === 'list' || kind === 'tuple'
  const callee = kind === 'call' ? pythonCallee(right) : ''
  const source =
    kind === 'call' ? callee : kind === 'identifier' || kind === 'attribute' ? pythonName(right) : undefined
  return {
    isScheme: SCHEME.test(lastName(callee)),
    dependencies: dependsIn(right),
    ...(source !== undefined && { source }),
    items: isList ? itemsOf(right) : [],
  }
}

/** Names in a list; of tuples inside of it the first. */
export function itemsOf(list: SyntaxNode): string[] {
  return list
    .children()
    .filter((child) => child.isNamed() && child.kind() !== 'comment')
    .map((child) => (child.kind() === 'tuple' ? (child.children().find((part) => part.isNamed()) ?? child) : child))
    .map(refName)
}

const SCHEME =
  /^(OAuth2\w+|HTTP(Bearer|Basic|Digest|AuthorizationCredentials)|APIKey(Header|Query|Cookie)|OpenIdConnect|HTTPTokenAuth|HTTPBasicAuth|HTTPDigestAuth|MultiAuth|Auth0\w*|FastAPIUsers)$/
