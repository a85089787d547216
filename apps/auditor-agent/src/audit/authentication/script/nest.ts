import type { SyntaxNode } from '../../source/parse.ts'
import {
  objectLiteral,
  propertyName,
  scriptArguments,
  scriptCallee,
  scriptName,
  scriptString,
} from '../../source/script.ts'
import { linesOf } from '../../source/source-file.ts'
import type { Lines, SourceFile } from '../../source/source-file.ts'
import { natureOf, soundsLikeAuthentication } from '../names.ts'
import type { OpenEndpoint } from '../open-endpoint.ts'
import type { Ref } from './facts.ts'
import type { ScriptModules } from './modules.ts'
import { refsOf } from './refs.ts'

interface Decorator {
  readonly name: string
  readonly refs: readonly Ref[]
  readonly text: string | undefined
}

interface NestEndpoint extends Lines {
  readonly controller: string
  readonly method: string
  readonly path: string
  readonly handler: string
  readonly decorators: readonly Decorator[]
}

interface Controller {
  readonly name: string
  readonly base: string | undefined
  readonly decorators: readonly Decorator[]
}

/** Controllers and resolvers of one file, and the guards that it sets up for everything. */
export interface NestModule {
  readonly path: string
  readonly controllers: readonly Controller[]
  readonly endpoints: readonly NestEndpoint[]
  readonly globalGuards: readonly string[]
  /** Functions that make decorators which bring guards: applyDecorators(UseGuards(…)). */
  readonly guardDecorators: readonly string[]
}

const CHANGING = new Map([
  ['Post', 'POST'],
  ['Put', 'PUT'],
  ['Patch', 'PATCH'],
  ['Delete', 'DELETE'],
  ['Mutation', 'MUTATION'],
])
const PUBLIC = /^(Public|IsPublic|SkipAuth|AllowAnonymous|AllowAnon|NoAuth|Unprotected|Anonymous|Open)$/

export function readNest(file: SourceFile): NestModule {
  const none = { path: file.path, controllers: [], endpoints: [], globalGuards: [], guardDecorators: [] }
  if (!/@Controller|@Resolver|APP_GUARD|useGlobalGuards|UseGuards|forRoutes/.test(file.text)) return none
  const classes = /@Controller|@Resolver|@UseGuards/.test(file.text)
    ? file.nodes('class_declaration', 'abstract_class_declaration')
    : []
  const controllers = classes.map(controllerOf)
  return {
    path: file.path,
    controllers,
    endpoints: classes.flatMap((node, index) => endpointsOf(node, controllers[index])),
    globalGuards: globalGuards(file),
    guardDecorators: guardDecorators(file),
  }
}

function controllerOf(node: SyntaxNode): Controller {
  const parent = node.parent()
  const around = parent?.kind() === 'export_statement' ? parent.children() : []
  const decorators = [...around, ...node.children()].filter((child) => child.kind() === 'decorator')
  const heritage = node.children().find((child) => child.kind() === 'class_heritage')
  const base = heritage?.find({ rule: { kind: 'extends_clause' } })?.field('value')
  return {
    name: node.field('name')?.text() ?? '',
    base: base === undefined || base === null ? undefined : scriptName(base),
    decorators: decorators.map(decoratorOf),
  }
}

function decoratorOf(node: SyntaxNode): Decorator {
  const expression = node.children().find((child) => child.isNamed())
  if (expression?.kind() !== 'call_expression') return { name: scriptName(expression), refs: [], text: undefined }
  const given = scriptArguments(expression)
  const path = scriptString(given[0]) ?? scriptString(objectLiteral(given[0])?.properties.get('path'))
  return { name: scriptCallee(expression), refs: given.flatMap((argument) => refsOf(argument)), text: path }
}

function endpointsOf(node: SyntaxNode, controller: Controller | undefined): NestEndpoint[] {
  const role = controller?.decorators.find(({ name }) => name === 'Controller' || name === 'Resolver')
  if (controller === undefined || role === undefined) return []
  const found: NestEndpoint[] = []
  let pending: SyntaxNode[] = []
  for (const member of node.field('body')?.children() ?? []) {
    if (member.kind() === 'decorator') pending.push(member)
    else if (member.kind() === 'method_definition') {
      const endpoint = endpointOf(member, pending, controller, role.text ?? '')
      if (endpoint !== undefined) found.push(endpoint)
      pending = []
    } else if (member.kind() !== 'comment') pending = []
  }
  return found
}

function endpointOf(
  method: SyntaxNode,
  nodes: readonly SyntaxNode[],
  controller: Controller,
  base: string,
): NestEndpoint | undefined {
  const decorators = nodes.map(decoratorOf)
  const verb = decorators.find(({ name }) => CHANGING.has(name))
  const first = nodes[0]
  if (verb === undefined || first === undefined) return undefined
  const handler = propertyName(method.field('name'))
  const { line } = linesOf(first)
  const head = method.field('return_type') ?? method.field('parameters') ?? method
  return {
    line,
    endLine: Math.min(linesOf(head).endLine, line + 8),
    controller: controller.name,
    method: CHANGING.get(verb.name) ?? 'POST',
    path: verb.name === 'Mutation' ? handler : joinPath(base, verb.text ?? ''),
    handler,
    decorators,
  }
}

function joinPath(...parts: readonly string[]): string {
  return `/${parts
    .map((part) => part.replaceAll(/^\/|\/$/g, ''))
    .filter((part) => part !== '')
    .join('/')}`
}

/** APP_GUARD providers, app.useGlobalGuards(…), and middleware for all routes. */
function globalGuards(file: SourceFile): string[] {
  const found: string[] = []
  if (file.text.includes('APP_GUARD')) {
    for (const node of file.nodes('object')) {
      const literal = objectLiteral(node)
      if (literal?.properties.get('provide')?.text() !== 'APP_GUARD') continue
      const guard =
        literal.properties.get('useClass') ??
        literal.properties.get('useExisting') ??
        literal.properties.get('useFactory')
      if (guard !== undefined) found.push(guard.text().slice(0, 200))
    }
  }
  if (/useGlobalGuards|forRoutes/.test(file.text)) {
    for (const call of file.nodes('call_expression')) {
      const callee = scriptCallee(call)
      if (callee.endsWith('useGlobalGuards'))
        found.push(...scriptArguments(call).map((argument) => argument.text().slice(0, 200)))
      const applied = callee.endsWith('forRoutes') ? /\.apply\((.*?)\)/.exec(callee)?.[1] : undefined
      if (applied !== undefined) found.push(applied)
    }
  }
  return found
}

function guardDecorators(file: SourceFile): string[] {
  if (!file.text.includes('applyDecorators')) return []
  return file
    .nodes('function_declaration', 'variable_declarator')
    .filter((node) => node.text().includes('UseGuards'))
    .map((node) => node.field('name')?.text() ?? '')
}

/** Controllers whose changing methods no guard stands before. */
export function openNestEndpoints(nest: readonly NestModule[], modules: ScriptModules): OpenEndpoint[] {
  const isGuardedEverywhere = nest.some(({ globalGuards: guards }) =>
    guards.some((guard) => soundsLikeAuthentication(guard)),
  )
  const controllers = new Map(
    nest.flatMap((module) => module.controllers.map((controller) => [controller.name, controller])),
  )
  const composed = new Set(nest.flatMap(({ guardDecorators: names }) => names))
  const isGuard = (decorator: Decorator): boolean => {
    const name = decorator.name.slice(decorator.name.lastIndexOf('.') + 1)
    if (name === 'UseGuards')
      return decorator.refs.some((ref) => [ref, ...ref.inner].some((part) => soundsLikeAuthentication(part.name)))
    if (composed.has(name)) return true
    // Roles() and the like only label a route; another module's Auth() may do more.
    return (
      !name.startsWith('Api') &&
      /^(Auth|Authorized|Authenticated|RequireAuth|Protected|Private|UseAuth|JwtAuth)\w*$/.test(name)
    )
  }
  const classGuards = (name: string | undefined, depth: number): boolean => {
    const controller = name === undefined || depth > 8 ? undefined : controllers.get(name)
    return controller !== undefined && (controller.decorators.some(isGuard) || classGuards(controller.base, depth + 1))
  }
  return nest.flatMap(({ path: file, endpoints }) =>
    endpoints.flatMap((endpoint) => {
      const around = [...endpoint.decorators, ...(controllers.get(endpoint.controller)?.decorators ?? [])]
      if (around.some(({ name }) => PUBLIC.test(name))) return []
      if (isGuardedEverywhere || endpoint.decorators.some(isGuard) || classGuards(endpoint.controller, 0)) return []
      const nature = natureOf({ path: endpoint.path, around: [endpoint.handler, endpoint.controller] })
      if (nature === 'public' || handlerGuards(endpoint, file, modules)) return []
      return [
        {
          file,
          line: endpoint.line,
          nature,
          method: endpoint.method,
          path: endpoint.path,
          isWebSocket: false,
          isCertain: true,
          isDoubtful: false,
        },
      ]
    }),
  )
}

function handlerGuards(endpoint: NestEndpoint, file: string, modules: ScriptModules): boolean {
  const module = modules.all.find(({ path }) => path === file)
  const found =
    module === undefined
      ? undefined
      : modules.functionOf({ name: `this.${endpoint.handler}`, isCall: true, inner: [], at: 0 }, module)
  return found !== undefined && modules.functionGuards(found)
}
