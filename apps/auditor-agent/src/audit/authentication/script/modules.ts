import type { Project } from '../../source/project.ts'
import { soundsLikeAuthentication } from '../names.ts'
import type { FunctionFacts, Ref, ScriptModule } from './facts.ts'

const MAX_DEPTH = 8

/** A function together with the module that it stands in. */
export interface Located {
  readonly module: ScriptModule
  readonly fact: FunctionFacts
}

/** The modules of a repository by path, and what a name means across them. */
export class ScriptModules {
  readonly #project: Project
  readonly #modules: ReadonlyMap<string, ScriptModule>

  constructor(project: Project, modules: ReadonlyMap<string, ScriptModule>) {
    this.#project = project
    this.#modules = modules
  }

  get all(): ScriptModule[] {
    return [...this.#modules.values()]
  }

  under(folder: string): ScriptModule[] {
    return this.all.filter(({ path }) => path.startsWith(`${folder}/`))
  }

  /** The module and local name behind an import of `module`. */
  imported(
    module: ScriptModule,
    source: string,
    name: string,
    depth = 0,
  ): { module: ScriptModule; local: string } | undefined {
    const path = this.#project.scriptModule(module.path, source)
    const target = path === undefined ? undefined : this.#modules.get(path)
    return target === undefined ? undefined : this.#exported(target, name, depth)
  }

  #exported(module: ScriptModule, name: string, depth: number): { module: ScriptModule; local: string } | undefined {
    if (depth > MAX_DEPTH) return undefined
    const local = module.exports.get(name)
    if (local !== undefined) {
      const source = module.imports.names.get(local)
      return source === undefined
        ? { module, local }
        : (this.imported(module, source.source, source.name, depth + 1) ?? { module, local })
    }
    for (const reexport of module.reexports) {
      if (reexport.name !== name && reexport.name !== '*') continue
      const inner = reexport.name === '*' ? name : reexport.imported
      const found = this.imported(module, reexport.source, inner, depth + 1)
      if (found !== undefined) return found
    }
    // `import x from` a CommonJS module that assigns the names of its exports, or has one function.
    return undefined
  }

  /** The function that a reference means, as far as the repository shows it. */
  functionOf(ref: Ref, module: ScriptModule, depth = 0): Located | undefined {
    if (depth > MAX_DEPTH) return undefined
    if (ref.id !== undefined) return this.#byId(module, ref.id)
    if (ref.source !== undefined) return this.#ofExport(this.imported(module, ref.source, 'default'), depth)
    const [head = '', ...rest] = ref.name.split('.')
    const last = rest.at(-1)
    const source = module.imports.names.get(head)
    if (source === undefined) return this.#localFunction(module, last ?? head, last === undefined, depth)
    if (last === undefined) return this.#ofExport(this.imported(module, source.source, source.name), depth)
    // users.create of `import * as users` or of a class, an object, an instance that the module exports.
    const direct = this.#ofExport(this.imported(module, source.source, last), depth)
    if (direct !== undefined) return direct
    const owner = this.imported(module, source.source, source.name)
    return owner === undefined ? undefined : this.#localFunction(owner.module, last, false, depth)
  }

  #localFunction(module: ScriptModule, name: string, followAliases: boolean, depth: number): Located | undefined {
    const id = module.named.get(name)
    if (id !== undefined) return this.#byId(module, id)
    const alias = followAliases ? module.aliases.get(name)?.at(-1)?.refs[0] : undefined
    return alias === undefined || alias.name === name ? undefined : this.functionOf(alias, module, depth + 1)
  }

  #ofExport(found: { module: ScriptModule; local: string } | undefined, depth: number): Located | undefined {
    if (found === undefined) return undefined
    if (found.local.startsWith('#')) return this.#byId(found.module, Number(found.local.slice(1)))
    const name = found.local.slice(found.local.lastIndexOf('.') + 1)
    return this.#localFunction(found.module, name, true, depth + 1)
  }

  #byId(module: ScriptModule, id: number): Located | undefined {
    const fact = module.functions.get(id)
    return fact === undefined ? undefined : { module, fact }
  }

  /** Whether a middleware, a hook or a wrapper makes sure who is calling: by its definition, or by its name. */
  guards(ref: Ref, module: ScriptModule, depth = 0): boolean {
    if (depth > MAX_DEPTH) return false
    if (ref.inner.some((inner) => this.guards(inner, module, depth + 1))) return true
    const found = this.functionOf(ref, module)
    if (found !== undefined && this.functionGuards(found)) return true
    const alias = module.aliases.get(ref.name)?.findLast(({ at }) => at < ref.at)
    const aliased = alias?.refs.filter(({ name }) => name !== ref.name) ?? []
    if (aliased.some((other) => this.guards(other, module, depth + 1))) return true
    return ref.name !== '' && soundsLikeAuthentication(ref.name)
  }

  /** Its body refuses callers, or calls a helper that does. */
  functionGuards({ module, fact }: Located): boolean {
    return fact.refuses || fact.calls.some((callee) => this.#callRefuses(callee, module))
  }

  #callRefuses(callee: string, module: ScriptModule): boolean {
    if (callee.includes('(')) return false
    const found = this.functionOf({ name: callee, isCall: true, inner: [], at: 0 }, module)
    if (found !== undefined) return found.fact.refuses
    const name = callee.slice(callee.lastIndexOf('.') + 1)
    return (
      /^(verify|check|require|assert|ensure|authenticate|authorize|enforce)[A-Z]?/.test(name) &&
      soundsLikeAuthentication(name)
    )
  }
}
