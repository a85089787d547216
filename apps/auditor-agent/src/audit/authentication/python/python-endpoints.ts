import { natureOf } from '../names.ts'
import type { OpenEndpoint } from '../open-endpoint.ts'
import type { EndpointFacts, PythonModule } from './facts.ts'
import type { GuardJudge } from './judge.ts'
import type { RouterGraph } from './router-graph.ts'

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Endpoints that change state, or hold a connection open, without anything on the way to them that guards. */
export function openPythonEndpoints(
  modules: ReadonlyMap<string, PythonModule>,
  judge: GuardJudge,
  graph: RouterGraph,
): OpenEndpoint[] {
  return [...modules.values()].flatMap((module) =>
    module.endpoints.flatMap((endpoint) => openEndpoint(module, endpoint, judge, graph)),
  )
}

function openEndpoint(
  module: PythonModule,
  endpoint: EndpointFacts,
  judge: GuardJudge,
  graph: RouterGraph,
): OpenEndpoint[] {
  const method = endpoint.isWebSocket ? 'WEBSOCKET' : endpoint.methods.find((name) => !SAFE.has(name))
  if (method === undefined) return []
  const router = graph.find(module, endpoint.router, endpoint.scope)
  const path = `${graph.prefixOf(router)}${endpoint.path}` || '/'
  const stem = module.path.slice(module.path.lastIndexOf('/') + 1).replace(/\.py$/, '')
  const nature = natureOf({ path, around: [endpoint.handler, stem] })
  if (nature === 'public') return []
  if (endpoint.guards.some((guard) => judge.guards(guard, module.path))) return []
  const handler = module.functions.get(endpoint.handlerKey) ?? resolved(judge, endpoint.handler, module)
  if (handler !== undefined && judge.functionGuards(handler, module.path)) return []
  const protection = router === undefined ? 'unmounted' : graph.protection(router)
  if (protection === 'guarded' || (protection === 'unmounted' && graph.everyAppIsGuarded)) return []
  return [
    {
      file: module.path,
      line: endpoint.line,
      nature,
      method,
      path,
      isWebSocket: endpoint.isWebSocket,
      isCertain: protection === 'open',
      isDoubtful: handler?.parameters.some((name) => /token|api_?key|authorization|signature/i.test(name)) === true,
    },
  ]
}

function resolved(
  judge: GuardJudge,
  handler: string,
  module: PythonModule,
): ReturnType<PythonModule['functions']['get']> {
  const found = judge.resolve(handler, module.path)
  return found?.module.functions.get(found.name)
}
