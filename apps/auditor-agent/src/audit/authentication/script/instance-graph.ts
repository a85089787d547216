import { folderOf } from '../../source/project.ts'
import { loadsIdentity, soundsLikeAuthentication } from '../names.ts'
import type { HookFacts, Ref, RegisterFacts, Scope, ScriptModule, UseFacts } from './facts.ts'
import type { Located, ScriptModules } from './modules.ts'

interface Mount {
  readonly parent: Instance
  readonly offset: number
  readonly isGuarded: boolean
  readonly prefix: string
}

/** An application, a router, or the parameter of a function that is given one. */
export interface Instance {
  readonly id: string
  readonly kind: 'app' | 'router' | 'parameter'
  readonly prefix: string
  /** Middleware that guards what comes after it. */
  readonly uses: { readonly offset: number; readonly path: string | undefined }[]
  /** Where middleware stands that loads an identity and refuses nobody. */
  readonly loads: number[]
  /** A hook guards everything here and below. */
  hasGuardHook: boolean
  readonly mounts: Mount[]
  /** Functions that were given this instance, and plugins that share it. */
  readonly given: { readonly child: Instance; readonly offset: number }[]
}

const REQUEST_HOOKS = new Set(['onRequest', 'preParsing', 'preValidation', 'preHandler'])
const PUBLIC_KEY = /^(public|isPublic|skipAuth|anonymous|allowAnonymous|noAuth|unprotected)$/

/** Plugins of fastify that only add methods; the ones named here do guard whoever registers them. */
const DECORATES =
  /^(@fastify\/(jwt|auth|cookie|session|secure-session|passport|oauth2|basic-auth|csrf-protection)|fastify-jwt|fastify-auth|fastify-cookie)$/
const GUARDS = /bearer-auth|keycloak|express-openid|jwks/

/** How applications, routers and plugins of a repository hang together, and where their guards are. */
export class InstanceGraph {
  readonly #modules: ScriptModules
  readonly #instances = new Map<string, Instance>()
  /** A hook that reads `config.scopes` and the like guards the routes that declare them. */
  hasPolicyGuard = false
  /** A route that declares nothing stops the boot. */
  isStrict = false

  constructor(modules: ScriptModules) {
    this.#modules = modules
    for (const module of modules.all) {
      for (const { name, scope, kind, prefix } of module.instances) this.#make(idOf(module, scope, name), kind, prefix)
    }
    for (const module of modules.all) {
      for (const event of module.registers) this.#register(module, event)
      for (const { callee, scope, offset, arguments: given } of module.bindings)
        this.#bind(module, callee, scope, offset, given)
    }
    for (const module of modules.all) {
      for (const event of module.uses) this.#use(module, event)
      for (const event of module.hooks) this.#hook(module, event)
    }
  }

  find(module: ScriptModule, name: string, scope: Scope): Instance | undefined {
    for (let depth = scope.length; depth >= 0; depth--) {
      const known = this.#instances.get(idOf(module, scope.slice(0, depth), name))
      if (known !== undefined) return known
      const id = scope[depth - 1]
      if (id !== undefined && module.functions.get(id)?.parameters.includes(name) === true)
        return this.#parameter(module, id, name)
    }
    const source = module.imports.names.get(name)
    const found = source === undefined ? undefined : this.#modules.imported(module, source.source, source.name)
    if (found === undefined) return undefined
    return this.#instances.get(idOf(found.module, [], found.local))
  }

  /** Something on the way from an application to this place guards it. */
  isGuarded(instance: Instance, offset: number, path: string, depth = 0): boolean {
    if (depth > 20) return false
    if (instance.hasGuardHook || instance.uses.some((use) => use.offset < offset && covers(use.path, path))) return true
    if (instance.given.some(({ child, offset: at }) => at < offset && guardsItself(child, path))) return true
    const { mounts } = instance
    return (
      mounts.length > 0 &&
      mounts.every(
        (mount) => mount.isGuarded || this.isGuarded(mount.parent, mount.offset, `${mount.prefix}${path}`, depth + 1),
      )
    )
  }

  isMounted(instance: Instance): boolean {
    return instance.kind === 'app' || instance.mounts.length > 0
  }

  /** Every application guards everything from its start; for routers that nobody seems to mount. */
  get everyAppIsGuarded(): boolean {
    const apps = [...this.#instances.values()].filter(({ kind }) => kind === 'app')
    return apps.length > 0 && apps.every((app) => this.isGuarded(app, Number.MAX_SAFE_INTEGER, ''))
  }

  prefixOf(instance: Instance | undefined, depth = 0): string {
    const [mount] = instance?.mounts ?? []
    if (instance === undefined || depth > 10) return ''
    return `${mount === undefined ? '' : this.prefixOf(mount.parent, depth + 1) + mount.prefix}${instance.prefix}`
  }

  #make(id: string, kind: Instance['kind'], prefix: string): Instance {
    const made: Instance = { id, kind, prefix, uses: [], loads: [], hasGuardHook: false, mounts: [], given: [] }
    this.#instances.set(id, made)
    return made
  }

  #parameter(module: ScriptModule, id: number, name: string): Instance {
    const key = `${module.path}#${id}(${name})`
    return this.#instances.get(key) ?? this.#make(key, 'parameter', '')
  }

  #use(module: ScriptModule, { receiver, scope, offset, path, refs }: UseFacts): void {
    const parent = this.find(module, receiver, scope)
    if (parent === undefined) return
    const children = refs.map((ref) => this.#instanceOf(module, ref, scope))
    const isGuarded = refs.some((ref, index) => children[index] === undefined && this.#modules.guards(ref, module))
    const mounted = children.filter((child) => child !== undefined && child !== parent)
    for (const child of mounted) child?.mounts.push({ parent, offset, isGuarded, prefix: path ?? '' })
    if (mounted.length === 0 && isGuarded) parent.uses.push({ offset, path })
    if (refs.some(({ name }) => loadsIdentity(name))) parent.loads.push(offset)
  }

  /** The router behind a reference: a variable, what a factory returns, `router.routes()`, a required module. */
  #instanceOf(module: ScriptModule, ref: Ref, scope: Scope): Instance | undefined {
    if (ref.id !== undefined) return undefined
    if (ref.source !== undefined && ref.name === '') {
      const found = this.#modules.imported(module, ref.source, 'default')
      const instance = found === undefined ? undefined : this.#instances.get(idOf(found.module, [], found.local))
      return instance ?? (ref.isCall ? this.#returned(module, ref) : undefined)
    }
    const bare = ref.isCall ? ref.name.replace(/\.(routes|middleware|callback|router)$/, '') : ref.name
    const direct =
      ref.isCall && bare === ref.name ? undefined : (this.find(module, bare, scope) ?? this.#member(module, bare))
    return direct ?? (ref.isCall ? this.#returned(module, ref) : undefined)
  }

  /** `users.router` of `import * as users`. */
  #member(module: ScriptModule, name: string): Instance | undefined {
    const [head = '', last, ...more] = name.split('.')
    const source = module.imports.names.get(head)
    if (source === undefined || last === undefined || more.length > 0) return undefined
    const found = this.#modules.imported(module, source.source, last)
    return found === undefined ? undefined : this.#instances.get(idOf(found.module, [], found.local))
  }

  #returned(module: ScriptModule, ref: Ref): Instance | undefined {
    const found = this.#modules.functionOf(ref, module)
    return found?.fact.returns === undefined ? undefined : this.#inside(found, found.fact.returns)
  }

  /** An instance by its name inside of a function. */
  #inside({ module, fact }: Located, name: string): Instance | undefined {
    const made = module.instances.find((instance) => instance.name === name && instance.scope.at(-1) === fact.id)
    return made === undefined ? this.find(module, name, [fact.id]) : this.#instances.get(idOf(module, made.scope, name))
  }

  #hook(module: ScriptModule, { receiver, scope, hook, ref }: HookFacts): void {
    if (ref === undefined) return
    const found = this.#modules.functionOf(ref, module)
    if (hook === 'onRoute' && found?.fact.throws === true) this.isStrict = true
    if (!REQUEST_HOOKS.has(hook) || !this.#modules.guards(ref, module)) return
    const keys = [...(found?.fact.configKeys ?? [])]
    // A hook that asks whether a route declares scopes lets through those that declare none.
    const isOptIn = keys.length > 0 && !keys.some((key) => PUBLIC_KEY.test(key))
    if (keys.length > 0) this.hasPolicyGuard = true
    const instance = this.find(module, receiver, scope)
    if (instance !== undefined && !isOptIn) instance.hasGuardHook = true
  }

  #register(module: ScriptModule, event: RegisterFacts): void {
    const parent = this.find(module, event.receiver, event.scope)
    if (parent === undefined) return
    if (event.folder !== undefined) {
      const folder = [folderOf(module.path), ...event.folder.split('/').filter((part) => part !== '.' && part !== '')]
        .filter((part) => part !== '')
        .join('/')
      for (const target of this.#modules.under(folder)) this.#plug(parent, this.#defaultOf(target), event, false)
      return
    }
    const isWrapped = /^(fp|fastifyPlugin)$/.test(event.plugin.name) && event.plugin.inner[0] !== undefined
    const plugin = isWrapped ? (event.plugin.inner[0] ?? event.plugin) : event.plugin
    const found = this.#modules.functionOf(plugin, module)
    if (found !== undefined) this.#plug(parent, found, event, isWrapped)
    else if (this.#isGuardPackage(module, plugin)) parent.hasGuardHook = true
  }

  #defaultOf(module: ScriptModule): Located | undefined {
    const local = module.exports.get('default')
    const id =
      local === undefined ? undefined : local.startsWith('#') ? Number(local.slice(1)) : module.named.get(local)
    const fact = id === undefined ? undefined : module.functions.get(id)
    return fact === undefined ? undefined : { module, fact }
  }

  #plug(parent: Instance, found: Located | undefined, { offset, prefix }: RegisterFacts, isWrapped: boolean): void {
    const name = found?.fact.parameters[0]
    if (found === undefined || name === undefined) return
    const child = this.#parameter(found.module, found.fact.id, name)
    child.mounts.push({ parent, offset, isGuarded: false, prefix })
    // Through fastify-plugin it works on the instance itself.
    if (isWrapped || found.module.plugins.has(found.fact.id)) parent.given.push({ child, offset: -1 })
  }

  #isGuardPackage(module: ScriptModule, plugin: Ref): boolean {
    const source = plugin.source ?? module.imports.names.get(plugin.name.split('.')[0] ?? '')?.source ?? ''
    if (GUARDS.test(source)) return true
    return !DECORATES.test(source) && !source.startsWith('@fastify/') && soundsLikeAuthentication(plugin.name)
  }

  #bind(module: ScriptModule, callee: Ref, scope: Scope, offset: number, given: readonly string[]): void {
    const found = this.#modules.functionOf(callee, module)
    if (found === undefined) return
    for (const [index, name] of given.entries()) {
      const parameter = found.fact.parameters[index]
      const parent = name === '' ? undefined : this.find(module, name, scope)
      if (parent === undefined || parameter === undefined) continue
      const child = this.#parameter(found.module, found.fact.id, parameter)
      if (child === parent) continue
      child.mounts.push({ parent, offset, isGuarded: false, prefix: '' })
      parent.given.push({ child, offset })
    }
  }
}

/** Guards of a function that works on the same instance hold for the instance. */
function guardsItself(child: Instance, path: string, depth = 0): boolean {
  if (depth > 10) return false
  if (child.hasGuardHook || child.uses.some((use) => covers(use.path, path))) return true
  return child.given.some(({ child: inner }) => guardsItself(inner, path, depth + 1))
}

/** Middleware on a path holds for what lies below it. */
function covers(guarded: string | undefined, path: string): boolean {
  const base = guarded?.replace(/[/*]+$/, '').replace(/\(\.\*\)$/, '') ?? ''
  return base === '' || path === base || path.startsWith(`${base}/`)
}

function idOf(module: ScriptModule, scope: Scope, name: string): string {
  return `${module.path}#${scope.join('/')}#${name}`
}
