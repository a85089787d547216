import type { ScriptImports } from '../../source/script.ts'
import type { Lines } from '../../source/source-file.ts'

/** Functions around a place by id (where they start), outermost first. */
export type Scope = readonly number[]

/** A function, router or guard as the source refers to it. */
export interface Ref {
  /** Dotted name; of a call the name of what is called. '' for an inline function. */
  readonly name: string
  readonly isCall: boolean
  /** An inline function. */
  readonly id?: number
  /** `require('./x')`, `import('./x')` in place. */
  readonly source?: string
  /** Arguments of a call: a wrapper around a guard is a guard. */
  readonly inner: readonly Ref[]
  /** Where it stands in its file. */
  readonly at: number
}

/** What a variable stands for from some place on; of a list all of its parts. */
export interface Alias {
  readonly at: number
  readonly refs: readonly Ref[]
}

export interface FunctionFacts {
  readonly id: number
  readonly name: string
  readonly parameters: readonly string[]
  /** It refuses callers (401, 403, an authentication error) or verifies a token or a signature. */
  refuses: boolean
  /** It throws, as a hook that stops the boot does. */
  throws: boolean
  readonly calls: string[]
  /** Keys of the configuration of a route that it looks at. */
  readonly configKeys: Set<string>
  /** A name that it returns: the router of a factory. */
  returns?: string
}

export type Framework = 'express' | 'fastify' | 'hono' | 'koa'

export interface InstanceFacts {
  readonly name: string
  readonly scope: Scope
  readonly kind: 'app' | 'router'
  readonly framework: Framework
  readonly prefix: string
}

/** Something that happens to an application or a router, in the order of the text. */
interface Event {
  readonly receiver: string
  readonly scope: Scope
  readonly offset: number
}

export interface RouteFacts extends Event, Lines {
  readonly method: string
  readonly path: string
  readonly handler: Ref | undefined
  /** Middleware and hooks of the route itself. */
  readonly guards: readonly Ref[]
  /** Keys of its `config`, for guards that read it. */
  readonly configKeys: readonly string[]
  readonly declaresPublic: boolean
}

export interface UseFacts extends Event {
  readonly path: string | undefined
  readonly refs: readonly Ref[]
}

export interface HookFacts extends Event {
  readonly hook: string
  readonly ref: Ref | undefined
}

export interface RegisterFacts extends Event {
  readonly plugin: Ref
  readonly prefix: string
  /** Folder that an autoloader loads, relative to the file. */
  readonly folder?: string
}

/** `setup(app)`: a function that may add to what it is given. */
export interface BindingFacts {
  readonly callee: Ref
  readonly scope: Scope
  readonly offset: number
  readonly arguments: readonly string[]
}

export interface ScriptModule {
  readonly path: string
  readonly imports: ScriptImports
  /** Local name (or `#id` of an inline function) by exported name. */
  readonly exports: ReadonlyMap<string, string>
  readonly reexports: readonly { readonly name: string; readonly source: string; readonly imported: string }[]
  readonly functions: ReadonlyMap<number, FunctionFacts>
  /** Functions by the name of their declaration, variable, property or method. */
  readonly named: ReadonlyMap<string, number>
  /** Variables that stand for something else: `const auth = passport.authenticate('jwt')`. */
  readonly aliases: ReadonlyMap<string, readonly Alias[]>
  /** Functions that are wrapped by fastify-plugin: their hooks hold for whoever registers them. */
  readonly plugins: ReadonlySet<number>
  readonly instances: readonly InstanceFacts[]
  readonly routes: readonly RouteFacts[]
  readonly uses: readonly UseFacts[]
  readonly hooks: readonly HookFacts[]
  readonly registers: readonly RegisterFacts[]
  readonly bindings: readonly BindingFacts[]
}
