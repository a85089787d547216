import { loadsIdentity, natureOf } from '../names.ts'
import type { OpenEndpoint } from '../open-endpoint.ts'
import type { RouteFacts, ScriptModule } from './facts.ts'
import { InstanceGraph } from './instance-graph.ts'
import type { Instance } from './instance-graph.ts'
import type { ScriptModules } from './modules.ts'

const RECEIVER = /^(this\.)?#?\w*(app|application|server|fastify|router|routes?|hono)\d*$/i
const FRAMEWORK = /^(fastify|express|koa|hono|@koa\/router|koa-router|@hono\/.*|find-my-way|polka|restify)$/

/** Routes of Fastify, Express, Koa and Hono that change state and that nothing on the way to them guards. */
export function openScriptEndpoints(modules: ScriptModules): OpenEndpoint[] {
  const graph = new InstanceGraph(modules)
  return modules.all.flatMap((module) => module.routes.flatMap((route) => openEndpoint(module, route, modules, graph)))
}

function openEndpoint(
  module: ScriptModule,
  route: RouteFacts,
  modules: ScriptModules,
  graph: InstanceGraph,
): OpenEndpoint[] {
  const instance = graph.find(module, route.receiver, route.scope)
  if (!isRoute(module, route, instance)) return []
  const path = `${graph.prefixOf(instance)}${route.path}`.replaceAll(/\/{2,}/g, '/') || '/'
  const handler = route.handler === undefined ? undefined : modules.functionOf(route.handler, module)
  const stem = module.path.slice(module.path.lastIndexOf('/') + 1).replace(/\.[cm]?[jt]sx?$/, '')
  const nature = natureOf({ path, around: [route.handler?.name ?? handler?.fact.name ?? '', stem] })
  if (nature === 'public') return []
  if (route.guards.some((guard) => modules.guards(guard, module))) return []
  if (handler !== undefined && modules.functionGuards(handler)) return []
  // A handler inside of a wrapper: asyncHandler(requireUser, create).
  if (route.handler?.inner.some((inner) => modules.guards(inner, module)) === true) return []
  if (isCoveredByPolicy(route, graph)) return []
  if (instance === undefined ? graph.everyAppIsGuarded : isGuarded(instance, route, graph)) return []
  return [
    {
      file: module.path,
      line: route.line,
      nature,
      method: route.method,
      path,
      isWebSocket: false,
      // A handler that cannot be read may check for itself.
      isCertain:
        instance !== undefined &&
        graph.isMounted(instance) &&
        (handler !== undefined || route.handler === undefined || isUndefinedHere(route.handler.name, module)),
      isDoubtful: handler === undefined && isIdentified(instance, route),
    },
  ]
}

function isGuarded(instance: Instance, route: RouteFacts, graph: InstanceGraph): boolean {
  if (graph.isGuarded(instance, route.offset, route.path)) return true
  return !graph.isMounted(instance) && graph.everyAppIsGuarded
}

/** `post('/x', …)` is a route when it is called on something known; otherwise only with a function in place. */
function isRoute(module: ScriptModule, route: RouteFacts, instance: Instance | undefined): boolean {
  if (instance !== undefined && instance.kind !== 'parameter') return true
  const hasHandler =
    route.handler?.id !== undefined ||
    (route.handler?.isCall === true && route.handler.inner.some(({ id }) => id !== undefined))
  const usesFramework = [...module.imports.sources].some((source) => FRAMEWORK.test(source))
  if (instance !== undefined)
    return RECEIVER.test(route.receiver)
      ? hasHandler || usesFramework || route.handler !== undefined
      : hasHandler && usesFramework
  return RECEIVER.test(route.receiver) && hasHandler
}

/** The route says who may call it, and a hook of the project holds callers to it. */
function isCoveredByPolicy({ configKeys, declaresPublic }: RouteFacts, graph: InstanceGraph): boolean {
  if (!graph.hasPolicyGuard) return false
  return configKeys.length > 0 || declaresPublic || graph.isStrict
}

/** Somebody looks up who is calling, so the handler, which cannot be read, may well check it. */
function isIdentified(instance: Instance | undefined, route: RouteFacts): boolean {
  if (route.guards.some(({ name }) => loadsIdentity(name))) return true
  return instance?.loads.some((offset) => offset < route.offset) === true
}

/** A plain name that the file neither defines nor imports. */
function isUndefinedHere(name: string, module: ScriptModule): boolean {
  return name !== '' && !name.includes('.') && !module.imports.names.has(name)
}
