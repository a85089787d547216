import type { SyntaxNode } from '../../source/parse.ts'
import { lastName, pythonArguments, pythonCallee, pythonName, pythonString } from '../../source/python.ts'
import type { PythonArguments } from '../../source/python.ts'
import type { SourceFile } from '../../source/source-file.ts'
import type { BindingFacts, GuardFacts, MountFacts, Ref, RouterFacts, Scope } from './facts.ts'
import { dependsIn, itemsOf, refName } from './read-functions.ts'
import { scopesOf } from './scopes.ts'

/** Applications and routers that a file makes. */
export function readRouters(file: SourceFile): RouterFacts[] {
  const nodes = file.nodes('assignment')
  const scopes = scopesOf(file, nodes)
  return nodes.flatMap((node, index) => {
    const call = node.field('right')
    if (call?.kind() !== 'call') return []
    const kind = routerKind(lastName(pythonCallee(call)))
    if (kind === undefined) return []
    const given = pythonArguments(call)
    const [first] = given.positional
    const wraps =
      first !== undefined && /^(Api|Namespace)$/.test(lastName(pythonCallee(call))) ? pythonName(first) : undefined
    return [
      {
        name: pythonName(node.field('left')),
        scope: scopes[index] ?? [],
        kind,
        prefix: pythonString(given.named.get('prefix') ?? given.named.get('url_prefix') ?? null) ?? '',
        guards: guardsOf(given),
        ...(wraps !== undefined && { wraps }),
      },
    ]
  })
}

function routerKind(callee: string): RouterFacts['kind'] | undefined {
  if (/^(FastAPI|Flask|Quart|Sanic|Starlette|Litestar|Application|APIFlask|OpenAPI)$/.test(callee)) return 'app'
  return /^(\w*Router|Blueprint|\w*Blueprint|RouteTableDef|Namespace|Api)$/.test(callee) ? 'router' : undefined
}

/** `dependencies=[Depends(x)]`, `dependencies=PROTECTED`, `middleware=[Middleware(X)]`, `route_class=X`, `decorators=[x]`. */
export function guardsOf({ named }: PythonArguments): Ref[] {
  const dependencies = named.get('dependencies')
  const direct = dependsIn(dependencies)
  const loose = direct.length === 0 && dependencies !== undefined ? namesIn(dependencies) : []
  const others = ['middleware', 'middlewares', 'route_class', 'decorators', 'auth', 'before', 'permission'].flatMap(
    (key) => {
      const value = named.get(key)
      return value === undefined ? [] : namesIn(value)
    },
  )
  return [...direct, ...[...loose, ...others].map((name) => ({ name, isSecurity: false }))]
}

function namesIn(node: SyntaxNode): string[] {
  if (node.kind() === 'list' || node.kind() === 'tuple') {
    return node
      .children()
      .filter((child) => child.isNamed() && child.kind() !== 'comment')
      .flatMap((child) => {
        // Middleware(AuthMiddleware, …) stands for its first argument.
        const [inner] = child.kind() === 'call' ? pythonArguments(child).positional : []
        return inner !== undefined && lastName(pythonCallee(child)) === 'Middleware'
          ? [refName(inner)]
          : [refName(child)]
      })
  }
  // list + list
  if (node.kind() === 'binary_operator')
    return node
      .children()
      .filter((child) => child.isNamed())
      .flatMap(namesIn)
  return [refName(node)]
}

export interface Wiring {
  readonly guards: readonly GuardFacts[]
  readonly mounts: readonly MountFacts[]
  readonly bindings: readonly BindingFacts[]
}

/** How routers are put together: include_router, register_blueprint, add_middleware, before_request, setup(app). */
export function readWiring(file: SourceFile): Wiring {
  const guards: GuardFacts[] = []
  const mounts: MountFacts[] = []
  const bindings: BindingFacts[] = []
  const calls = file.nodes('call')
  const scopes = scopesOf(file, calls)
  const mayBind = ROUTER_ARGUMENT.test(file.text)
  for (const [index, call] of calls.entries()) {
    const callee = pythonCallee(call)
    const scope = scopes[index] ?? []
    const dot = callee.lastIndexOf('.')
    const method = callee.slice(dot + 1)
    const receiver = dot < 0 ? '' : callee.slice(0, dot)
    if (MOUNTS.test(method) && receiver !== '') mounts.push(...mountOf(receiver, method, scope, pythonArguments(call)))
    else if (GUARDS.test(method) && receiver !== '')
      guards.push(...guardOf(receiver, method, scope, pythonArguments(call)))
    else if (mayBind && ROUTER_ARGUMENT.test(call.field('arguments')?.text() ?? '')) {
      const given = pythonArguments(call)
      const names = [...given.positional, ...given.named.values()].map((node) =>
        node.kind() === 'identifier' || node.kind() === 'attribute' ? pythonName(node) : '',
      )
      if (names.some((name) => ROUTER_NAME.test(name))) bindings.push({ callee, scope, arguments: names })
    }
  }
  guards.push(...decoratedGuards(file))
  return { guards, mounts, bindings }
}

const MOUNTS = /^(include_router|register_blueprint|mount|add_routes|add_namespace|blueprint|init_app|include_routers)$/
const GUARDS = /^(add_middleware|before_request|before_app_request|register_middleware|middleware)$/
const ROUTER_ARGUMENT = /[(,=]\s*[\w.]*(app|api|application|router|routes|bp|blueprint|server)\d*\s*[,)]/i
const ROUTER_NAME = /(^|[._])(app|api|application|router|routes|bp|blueprint|server)\d*$/i

function mountOf(parent: string, method: string, scope: Scope, given: PythonArguments): MountFacts[] {
  // app.mount('/x', other): the child comes second.
  const child =
    method === 'mount'
      ? given.positional[1]
      : (given.positional[0] ?? given.named.get('router') ?? given.named.get('blueprint'))
  if (child === undefined) return []
  const prefix = method === 'mount' ? given.positional[0] : (given.named.get('prefix') ?? given.named.get('url_prefix'))
  const isCall = child.kind() === 'call'
  return [
    {
      parent,
      scope,
      child: refName(child),
      isCall,
      prefix: pythonString(prefix ?? null) ?? '',
      guards: guardsOf(given),
    },
  ]
}

function guardOf(router: string, method: string, scope: Scope, given: PythonArguments): GuardFacts[] {
  const [first] = given.positional
  if (first === undefined || pythonString(first) !== undefined) return []
  return [{ router, scope, guard: { name: refName(first), isSecurity: false }, isGlobal: method !== 'before_request' }]
}

/** `@app.middleware("http")`, `@bp.before_request` over the function that guards. */
function decoratedGuards(file: SourceFile): GuardFacts[] {
  const nodes = file.nodes('decorated_definition')
  const scopes = scopesOf(file, nodes)
  return nodes.flatMap((node, index) => {
    const name = node.field('definition')?.field('name')?.text()
    if (name === undefined) return []
    return node.children().flatMap((child) => {
      if (child.kind() !== 'decorator') return []
      const expression = child.children().find((part) => part.isNamed())
      const full = expression?.kind() === 'call' ? pythonCallee(expression) : pythonName(expression)
      const dot = full.lastIndexOf('.')
      const method = full.slice(dot + 1)
      if (dot < 0 || !/^(middleware|before_request|before_app_request|on_request)$/.test(method)) return []
      const guard = { name, isSecurity: false }
      return [{ router: full.slice(0, dot), scope: scopes[index] ?? [], guard, isGlobal: method !== 'before_request' }]
    })
  })
}

/** `for router in [users.router, items.router]` and over a list with a name. */
export function readLoops(file: SourceFile): Map<string, readonly string[]> {
  const loops = new Map<string, readonly string[]>()
  if (!/include_router|register_blueprint/.test(file.text)) return loops
  for (const node of file.nodes('for_statement')) {
    const left = node.field('left')
    const right = node.field('right')
    const name = left?.kind() === 'pattern_list' ? left.child(0)?.text() : left?.text()
    if (name === undefined || right === null) continue
    const isList = right.kind() === 'list' || right.kind() === 'tuple'
    loops.set(name, isList ? itemsOf(right) : [pythonName(right)])
  }
  return loops
}
