import type { Project } from '../../source/project.ts'
import type { MountFacts, PythonModule, Ref, RouterFacts, Scope } from './facts.ts'
import type { GuardJudge } from './judge.ts'

/** A router or an application, with everything that is mounted and guarded somewhere in the repository. */
export interface RouterNode {
  readonly id: string
  readonly kind: 'app' | 'router' | 'parameter'
  readonly prefix: string
  isGuarded: boolean
  readonly mounts: { readonly parent: RouterNode | undefined; readonly isGuarded: boolean; readonly prefix: string }[]
}

export type Protection = 'guarded' | 'open' | 'unmounted'

/**
 * Which routers stand below which, across files. A router is guarded when it is so itself, or when everything that it
 * is mounted on is. One open way in is enough to leave it open.
 */
export class RouterGraph {
  readonly #project: Project
  readonly #modules: ReadonlyMap<string, PythonModule>
  readonly #judge: GuardJudge
  readonly #nodes = new Map<string, RouterNode>()
  readonly #protection = new Map<string, Protection>()

  constructor(project: Project, modules: ReadonlyMap<string, PythonModule>, judge: GuardJudge) {
    this.#project = project
    this.#modules = modules
    this.#judge = judge
    for (const module of modules.values()) for (const router of module.routers) this.#add(module, router)
    for (const module of modules.values()) this.#wire(module)
  }

  /** The router that `name` means at a place; made up when it is a parameter of a function around the place. */
  find(module: PythonModule, name: string, scope: Scope): RouterNode | undefined {
    return this.#local(module, name, scope) ?? this.#parameter(module, name, scope) ?? this.#imported(module, name, 0)
  }

  protection(node: RouterNode): Protection {
    const known = this.#protection.get(node.id)
    if (known !== undefined) return known
    // Against circles: a router below itself is not guarded by that.
    this.#protection.set(node.id, 'open')
    const verdict = this.#decide(node)
    this.#protection.set(node.id, verdict)
    return verdict
  }

  /** The path in front of the routes of a router, along its first mount. */
  prefixOf(node: RouterNode | undefined, depth = 0): string {
    const [mount] = node?.mounts ?? []
    if (node === undefined || depth > 8) return ''
    return `${mount === undefined ? '' : this.prefixOf(mount.parent, depth + 1) + mount.prefix}${node.prefix}`
  }

  /** Every application is guarded as a whole; for views that no router can be found for. */
  get everyAppIsGuarded(): boolean {
    const apps = [...this.#nodes.values()].filter(({ kind }) => kind === 'app')
    return apps.length > 0 && apps.every((app) => this.protection(app) === 'guarded')
  }

  #decide(node: RouterNode): Protection {
    if (node.isGuarded) return 'guarded'
    const ways = node.mounts.map(
      ({ parent, isGuarded }) => isGuarded || (parent !== undefined && this.protection(parent) === 'guarded'),
    )
    if (ways.length > 0 && ways.every(Boolean)) return 'guarded'
    return node.kind === 'app' || ways.length > 0 ? 'open' : 'unmounted'
  }

  #add(module: PythonModule, router: RouterFacts): void {
    const id = idOf(module.path, router.scope, router.name)
    const isGuarded = router.guards.some((guard) => this.#guards(guard, module))
    this.#nodes.set(id, { id, kind: router.kind, prefix: router.prefix, isGuarded, mounts: [] })
  }

  /** A guard may be a name for a list: `dependencies=PROTECTED`. */
  #guards(ref: Ref, module: PythonModule): boolean {
    return this.#judge.guards(ref, module.path)
  }

  #wire(module: PythonModule): void {
    for (const { router, scope, guard, isGlobal } of module.guards) {
      if (!this.#guards(guard, module)) continue
      const node = this.find(module, router, scope)
      if (node !== undefined) node.isGuarded = true
      if (isGlobal && node?.kind === 'router')
        for (const other of this.#nodes.values()) if (other.kind === 'app') other.isGuarded = true
    }
    for (const mount of module.mounts) this.#mount(module, mount)
    for (const router of module.routers) {
      if (router.wraps === undefined) continue
      const parent = this.find(module, router.wraps, router.scope)
      this.#nodes
        .get(idOf(module.path, router.scope, router.name))
        ?.mounts.push({ parent, isGuarded: false, prefix: '' })
    }
    for (const { callee, scope, arguments: given } of module.bindings) this.#bind(module, callee, scope, given)
  }

  #mount(module: PythonModule, mount: MountFacts): void {
    const parent = this.find(module, mount.parent, mount.scope)
    const isGuarded = mount.guards.some((guard) => this.#guards(guard, module))
    for (const child of this.#children(module, mount)) child.mounts.push({ parent, isGuarded, prefix: mount.prefix })
  }

  #children(module: PythonModule, { child, scope, isCall }: MountFacts): RouterNode[] {
    if (isCall) {
      const made = this.#judge.resolve(child, module.path)
      const fact = made?.module.functions.get(made.name)
      if (made === undefined || fact?.returns === undefined) return []
      const node = this.find(made.module, fact.returns, [...fact.scope, fact.name])
      return node === undefined ? [] : [node]
    }
    const node = this.find(module, child, scope)
    if (node !== undefined) return [node]
    const looped = module.loops.get(child) ?? []
    const items = looped.flatMap((item) => module.variables.get(item)?.items ?? [item])
    return items.flatMap((item) => this.find(module, item, scope) ?? [])
  }

  /** `setup_routes(app)`: the parameter of the function is mounted on what it is given. */
  #bind(module: PythonModule, callee: string, scope: Scope, given: readonly string[]): void {
    const found = this.#judge.resolve(callee, module.path)
    const fact = found?.module.functions.get(found.name)
    if (found === undefined || fact === undefined) return
    for (const [index, name] of given.entries()) {
      const parameter = fact.parameters[index]
      const parent = name === '' || parameter === undefined ? undefined : this.find(module, name, scope)
      if (parent === undefined || parameter === undefined) continue
      this.#parameterNode(found.module.path, [...fact.scope, fact.name], parameter).mounts.push({
        parent,
        isGuarded: false,
        prefix: '',
      })
    }
  }

  #local(module: PythonModule, name: string, scope: Scope): RouterNode | undefined {
    for (let depth = scope.length; depth >= 0; depth--) {
      const node = this.#nodes.get(idOf(module.path, scope.slice(0, depth), name))
      if (node !== undefined) return node
    }
    if (!name.startsWith('self.')) return undefined
    // An attribute belongs to the class, whichever method sets it.
    const owner = scope[0]
    const fact = module.routers.find((router) => router.name === name && router.scope[0] === owner)
    return fact === undefined ? undefined : this.#nodes.get(idOf(module.path, fact.scope, fact.name))
  }

  #parameter(module: PythonModule, name: string, scope: Scope): RouterNode | undefined {
    for (let depth = scope.length; depth > 0; depth--) {
      const fact = module.functions.get(scope[depth - 1] ?? '')
      if (fact?.parameters.includes(name) === true) return this.#parameterNode(module.path, scope.slice(0, depth), name)
    }
    return undefined
  }

  #parameterNode(path: string, scope: Scope, name: string): RouterNode {
    const id = idOf(path, scope, name)
    const known = this.#nodes.get(id)
    if (known !== undefined) return known
    const node: RouterNode = { id, kind: 'parameter', prefix: '', isGuarded: false, mounts: [] }
    this.#nodes.set(id, node)
    return node
  }

  #imported(module: PythonModule, name: string, depth: number): RouterNode | undefined {
    if (depth > 8) return undefined
    const parts = name.split('.')
    for (let length = parts.length; length > 0; length--) {
      const source = module.imports.names.get(parts.slice(0, length).join('.'))
      const found = source === undefined ? undefined : this.#project.pythonModule(module.path, source)
      const target = found === undefined ? undefined : this.#modules.get(found.file)
      if (found === undefined || target === undefined) continue
      const inner = [...(found.symbol === undefined ? [] : [found.symbol]), ...parts.slice(length)].join('.')
      const node =
        this.#local(target, inner, []) ?? (target === module ? undefined : this.#imported(target, inner, depth + 1))
      if (node !== undefined) return node
    }
    return undefined
  }
}

function idOf(path: string, scope: Scope, name: string): string {
  return `${path}#${scope.join('/')}#${name}`
}
