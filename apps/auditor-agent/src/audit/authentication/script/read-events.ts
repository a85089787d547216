import type { SyntaxNode } from '../../source/parse.ts'
import {
  isFunction,
  objectLiteral,
  scriptArguments,
  scriptCallee,
  scriptName,
  scriptString,
  unwrap,
} from '../../source/script.ts'
import type { ObjectLiteral } from '../../source/script.ts'
import { linesOf, startOf } from '../../source/source-file.ts'
import type { SourceFile } from '../../source/source-file.ts'
import type { BindingFacts, HookFacts, Ref, RegisterFacts, RouteFacts, Scope, UseFacts } from './facts.ts'
import { scopesOf } from './read-functions.ts'
import { refsOf } from './refs.ts'

export interface Events {
  readonly routes: RouteFacts[]
  readonly uses: UseFacts[]
  readonly hooks: HookFacts[]
  readonly registers: RegisterFacts[]
  readonly bindings: BindingFacts[]
}

const CHANGING = new Set(['post', 'put', 'patch', 'delete', 'del'])
const RECEIVER =
  /^(this\.)?#?\w*(app|application|server|fastify|router|routes?|api|instance|scope|hono|express|rest|v\d+)\d*$/i

/** Routes, middleware, hooks, plugins and set-up calls of a file, in the order of the text. */
export function readEvents(file: SourceFile): Events {
  const events: Events = { routes: [], uses: [], hooks: [], registers: [], bindings: [] }
  const calls = file.nodes('call_expression')
  const scopes = scopesOf(file, calls)
  for (const [index, call] of calls.entries()) readCall(call, scopes[index] ?? [], events)
  for (const list of [events.uses, events.hooks, events.registers]) list.sort((a, b) => a.offset - b.offset)
  return events
}

function readCall(call: SyntaxNode, scope: Scope, events: Events): void {
  const callee = unwrap(call.field('function'))
  const given = scriptArguments(call)
  if (callee?.kind() !== 'member_expression') return readBinding(call, given, scope, events)
  const method = callee.field('property')?.text() ?? ''
  const target = targetOf(callee.field('object'))
  // The end of the call: in a chain the events come in the order of their dots, not of their starts.
  const offset = call.range().end.index
  const event = { receiver: target.receiver, scope, offset }
  if (CHANGING.has(method)) {
    const route = routeOf(call, method, target.path, given)
    if (route !== undefined) events.routes.push({ ...event, ...route })
  } else if (method === 'route' && given.length === 1)
    events.routes.push(...routeObject(call, given[0]).map((route) => ({ ...event, ...route })))
  else if (method === 'use' || method === 'all' || (method === 'route' && given.length === 2))
    events.uses.push({ ...event, ...useOf(given) })
  else if (method === 'addHook') {
    const [ref] = refsOf(given[1])
    events.hooks.push({ ...event, hook: scriptString(given[0]) ?? '', ref })
  } else if (method === 'register')
    events.registers.push(...registerOf(given).map((register) => ({ ...event, ...register })))
  else readBinding(call, given, scope, events)
}

/** The receiver of a call; of `router.route('/x').get(a)` the router and the path. Helpers that return the same instance are skipped. */
function targetOf(node: SyntaxNode | null): { receiver: string; path?: string } {
  let current = unwrap(node)
  for (let depth = 0; current?.kind() === 'call_expression' && depth < 30; depth++) {
    const callee = unwrap(current.field('function'))
    if (callee?.kind() !== 'member_expression') break
    const method = callee.field('property')?.text() ?? ''
    const inner = unwrap(callee.field('object'))
    const path = method === 'route' ? scriptString(scriptArguments(current)[0]) : undefined
    if (path !== undefined) return { receiver: scriptName(inner), path }
    if (
      !/^(withTypeProvider|get|post|put|patch|delete|head|options|all|use|after|register|setErrorHandler|basePath)$/.test(
        method,
      )
    )
      break
    current = inner
  }
  return {
    receiver: current?.kind() === 'identifier' || current?.kind() === 'member_expression' ? scriptName(current) : '',
  }
}

type Route = Omit<RouteFacts, 'receiver' | 'scope' | 'offset'>

function routeOf(
  call: SyntaxNode,
  method: string,
  chained: string | undefined,
  given: readonly SyntaxNode[],
): Route | undefined {
  const path = chained ?? pathOf(given[0])
  if (path === undefined) return undefined
  const rest = chained === undefined ? given.slice(1) : given
  const last = rest.at(-1)
  const options = rest.map((argument) => objectLiteral(argument)).find((literal) => literal !== undefined)
  const [handler] = refsOf(last)
  if (handler === undefined && options === undefined) return undefined
  const middleware = rest.slice(0, -1).flatMap((argument) => refsOf(argument))
  const { line } = linesOf(unwrap(call.field('function'))?.field('property') ?? call)
  return {
    line,
    endLine: endOfHead(call, last, line),
    method: method === 'del' ? 'DELETE' : method.toUpperCase(),
    path,
    handler: handler ?? refsOf(options?.properties.get('handler'))[0],
    guards: [...middleware, ...(options === undefined ? [] : hooksOf(options))],
    ...policyOf(options),
  }
}

/** `'/x'`, `` `${base}/x` ``, `['/a', '/b']`. */
function pathOf(node: SyntaxNode | undefined): string | undefined {
  const bare = unwrap(node)
  const text = scriptString(bare)
  if (text !== undefined) return text === '' || /^[/*:]/.test(text) ? text : undefined
  if (bare?.kind() === 'template_string') return bare.text().replaceAll('`', '')
  return bare?.kind() === 'array' ? pathOf(bare.children().find((child) => child.isNamed())) : undefined
}

/** A route is shown from its start to the end of the handler's head. */
function endOfHead(call: SyntaxNode, last: SyntaxNode | undefined, line: number): number {
  const body = isFunction(unwrap(last)) ? unwrap(last)?.field('body') : undefined
  const end = body === null || body === undefined ? linesOf(call).endLine : linesOf(body).line
  return Math.max(line, Math.min(end, line + 5))
}

/** `app.route({ method: 'POST', url: '/x', preHandler, handler })`. */
function routeObject(call: SyntaxNode, argument: SyntaxNode | undefined): Route[] {
  const options = objectLiteral(argument)
  const methods = options?.properties.get('method')
  if (options === undefined || methods === undefined) return []
  const method = [...methods.text().matchAll(/["'`](\w+)["'`]/g)]
    .map((match) => (match[1] ?? '').toUpperCase())
    .find((name) => CHANGING.has(name.toLowerCase()))
  const path = pathOf(options.properties.get('url') ?? options.properties.get('path'))
  if (method === undefined || path === undefined || options.spread) return []
  const { line } = linesOf(call)
  return [
    {
      line,
      endLine: Math.min(linesOf(call).endLine, line + 5),
      method,
      path,
      handler: refsOf(options.properties.get('handler'))[0],
      guards: hooksOf(options),
      ...policyOf(options),
    },
  ]
}

function hooksOf({ properties }: ObjectLiteral): Ref[] {
  return [
    'onRequest',
    'preParsing',
    'preValidation',
    'preHandler',
    'middleware',
    'middlewares',
    'beforeHandler',
    'beforeHandle',
    'before',
  ].flatMap((name) => refsOf(properties.get(name)))
}

const POLICY =
  /^(scopes?|roles?|permissions?|auth|authenticate|authenticated|authorization|authorize|requiresAuth|requireAuth|policy|policies|access|security|requires|allow|allowedRoles)$/

/** `config: { scopes: ['a'] }`, `config: { public: true }`. */
function policyOf(options: ObjectLiteral | undefined): { configKeys: string[]; declaresPublic: boolean } {
  const config = objectLiteral(options?.properties.get('config'))
  const names = [...(config?.names ?? [])]
  const isTrue = (name: string): boolean => config?.properties.get(name)?.text() === 'true'
  const isFalse = (name: string): boolean => config?.properties.get(name)?.text() === 'false'
  const declaresPublic =
    ['public', 'isPublic', 'skipAuth', 'anonymous', 'allowAnonymous', 'noAuth'].some(isTrue) ||
    ['auth', 'authenticate', 'requiresAuth', 'requireAuth'].some(isFalse)
  return { configKeys: declaresPublic ? [] : names.filter((name) => POLICY.test(name)), declaresPublic }
}

function useOf(given: readonly SyntaxNode[]): { path: string | undefined; refs: Ref[] } {
  const path = pathOf(given[0])
  return { path, refs: given.slice(path === undefined ? 0 : 1).flatMap((argument) => refsOf(argument)) }
}

function registerOf(given: readonly SyntaxNode[]): Omit<RegisterFacts, 'receiver' | 'scope' | 'offset'>[] {
  const [plugin] = refsOf(given[0])
  if (plugin === undefined) return []
  const options = objectLiteral(given[1])
  const prefix = scriptString(options?.properties.get('prefix')) ?? ''
  const dir = /autoload/i.test(plugin.name) ? options?.properties.get('dir') : undefined
  const folder =
    dir === undefined
      ? undefined
      : [...dir.text().matchAll(/['"`]([\w./-]+)['"`]/g)].map((match) => match[1] ?? '').join('/')
  return [{ plugin, prefix, ...(folder !== undefined && { folder }) }]
}

/** `routes(app)`, `require('./routes')(app)`: something that looks like an application is handed on. */
function readBinding(call: SyntaxNode, given: readonly SyntaxNode[], scope: Scope, events: Events): void {
  const names = given.map((argument) => {
    const bare = unwrap(argument)
    return bare?.kind() === 'identifier' || bare?.kind() === 'member_expression' ? scriptName(bare) : ''
  })
  if (!names.some((name) => RECEIVER.test(name))) return
  if (scriptCallee(call).length > 120) return
  const [callee] = refsOf(call)
  if (callee !== undefined) events.bindings.push({ callee, scope, offset: startOf(call), arguments: names })
}
