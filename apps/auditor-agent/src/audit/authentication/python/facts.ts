import type { PythonImports } from '../../source/python.ts'
import type { Lines } from '../../source/source-file.ts'

/** A name in a dependency, a decorator or a hook, as the source writes it. */
export interface Ref {
  readonly name: string
  /** It stands in `Security(…)`, which is for nothing else. */
  readonly isSecurity: boolean
  /** It is only the type of a parameter, which guards when it is an alias of a dependency. */
  readonly isType?: true
}

/** Names of the functions and classes around a place, outermost first. */
export type Scope = readonly string[]

export interface FunctionFacts {
  readonly name: string
  readonly scope: Scope
  /** Dependencies of its parameters: `Depends(x)`, `Security(x)`, and types that may be aliases of them. */
  readonly dependencies: readonly Ref[]
  readonly decorators: readonly Ref[]
  /** Its body refuses callers (401, 403, an authentication error) or verifies a token or a signature. */
  refuses: boolean
  /** What its body calls. */
  readonly calls: readonly string[]
  /** Names of its parameters, in order. */
  readonly parameters: readonly string[]
  /** A name that it returns: the router of a factory. */
  readonly returns?: string
}

export interface VariableFacts {
  /** A security scheme of the framework: OAuth2PasswordBearer(…), HTTPBearer(), APIKeyHeader(…). */
  readonly isScheme: boolean
  /** Depends(…) and Security(…) anywhere in the value. */
  readonly dependencies: readonly Ref[]
  /** What it is made by (a call) or another name for. */
  readonly source?: string
  /** Names in a list or tuple. */
  readonly items: readonly string[]
}

export interface ClassFacts {
  readonly bases: readonly string[]
}

export interface RouterFacts {
  readonly name: string
  readonly scope: Scope
  readonly kind: 'app' | 'router'
  readonly prefix: string
  /** Dependencies, middleware and hooks given where it is made. */
  readonly guards: readonly Ref[]
  /** It wraps another one: `Api(app)`. */
  readonly wraps?: string
}

/** A guard that is added to a router later: add_middleware, @app.middleware, before_request. */
export interface GuardFacts {
  readonly router: string
  readonly scope: Scope
  readonly guard: Ref
  /** It holds for the whole application, wherever the router is mounted. */
  readonly isGlobal: boolean
}

export interface MountFacts {
  readonly parent: string
  readonly scope: Scope
  readonly child: string
  /** The child is what this function returns. */
  readonly isCall: boolean
  readonly prefix: string
  readonly guards: readonly Ref[]
}

/** `register_routes(app)`: a function that may add routes to what it is given. */
export interface BindingFacts {
  readonly callee: string
  readonly scope: Scope
  readonly arguments: readonly string[]
}

export interface EndpointFacts extends Lines {
  readonly router: string
  readonly scope: Scope
  readonly methods: readonly string[]
  readonly path: string
  readonly isWebSocket: boolean
  readonly handler: string
  /** Under which `PythonModule.functions` holds the handler, where its name may stand for several. */
  readonly handlerKey: string
  readonly guards: readonly Ref[]
  readonly framework: 'fastapi' | 'flask' | 'other'
}

export interface PythonModule {
  readonly path: string
  readonly imports: PythonImports
  readonly functions: ReadonlyMap<string, FunctionFacts>
  readonly classes: ReadonlyMap<string, ClassFacts>
  readonly variables: ReadonlyMap<string, VariableFacts>
  readonly routers: readonly RouterFacts[]
  readonly guards: readonly GuardFacts[]
  readonly mounts: readonly MountFacts[]
  readonly bindings: readonly BindingFacts[]
  readonly endpoints: readonly EndpointFacts[]
  /** Names that loops run over: `for router in [a, b]`. */
  readonly loops: ReadonlyMap<string, readonly string[]>
}
