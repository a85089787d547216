import type { Project } from '../../source/project.ts'
import { soundsLikeAuthentication } from '../names.ts'
import type { FunctionFacts, PythonModule, Ref } from './facts.ts'

const MAX_DEPTH = 8

/**
 * Decides whether a dependency, a decorator or a hook makes sure who is calling. What it is defined as decides first:
 * it refuses callers, or depends on something that does. A name that promises it is believed when the definition
 * cannot be read, or says nothing either way.
 */
export class GuardJudge {
  readonly #project: Project
  readonly #modules: ReadonlyMap<string, PythonModule>
  readonly #known = new Map<string, boolean>()

  constructor(project: Project, modules: ReadonlyMap<string, PythonModule>) {
    this.#project = project
    this.#modules = modules
  }

  guards(ref: Ref, path: string): boolean {
    return this.#ref(ref, path, 0)
  }

  /** A function guards itself: by its parameters, its decorators or its body. */
  functionGuards(fact: FunctionFacts, path: string): boolean {
    if (fact.refuses) return true
    if ([...fact.dependencies, ...fact.decorators].some((ref) => this.guards(ref, path))) return true
    return fact.calls.some((callee) => this.#callRefuses(callee, path))
  }

  /** What `name` is in the module at `path`, following imports: the module that defines it and the name there. */
  resolve(name: string, path: string, depth = 0): { module: PythonModule; name: string } | undefined {
    const module = this.#modules.get(path)
    if (module === undefined || depth > MAX_DEPTH) return undefined
    const [head = '', ...rest] = name.split('.')
    if (module.functions.has(head) || module.classes.has(head) || module.variables.has(head)) return { module, name }
    const found = this.#imported(module, head)
    if (found !== undefined) {
      const inner = [...(found.symbol === undefined ? [] : [found.symbol]), ...rest].join('.')
      return inner === ''
        ? undefined
        : (this.resolve(inner, found.file, depth + 1) ?? this.#submodule(module, name, depth))
    }
    return this.#submodule(module, name, depth) ?? this.#wildcard(module, name, depth)
  }

  #imported(module: PythonModule, head: string): { file: string; symbol?: string } | undefined {
    const source = module.imports.names.get(head)
    return source === undefined ? undefined : this.#project.pythonModule(module.path, source)
  }

  /** `import app.core.auth` and `app.core.auth.verify`. */
  #submodule(module: PythonModule, name: string, depth: number): { module: PythonModule; name: string } | undefined {
    const dot = name.lastIndexOf('.')
    const source = dot < 0 ? undefined : module.imports.names.get(name.slice(0, dot))
    const file = source === undefined ? undefined : this.#project.pythonModule(module.path, source)?.file
    return file === undefined || file === module.path ? undefined : this.resolve(name.slice(dot + 1), file, depth + 1)
  }

  #wildcard(module: PythonModule, name: string, depth: number): { module: PythonModule; name: string } | undefined {
    for (const source of module.imports.wildcards) {
      const file = this.#project.pythonModule(module.path, source)?.file
      const found = file === undefined || file === module.path ? undefined : this.resolve(name, file, depth + 1)
      if (found !== undefined) return found
    }
    return undefined
  }

  #ref(ref: Ref, path: string, depth: number): boolean {
    if (ref.isSecurity) return true
    return ref.isType === true ? this.#type(ref.name, path, depth) : this.#name(ref.name, path, depth)
  }

  /** The type of a parameter: an alias of a dependency guards, a model of a body does not, whatever it is called. */
  #type(name: string, path: string, depth: number): boolean {
    const found = this.resolve(name, path)
    if (found === undefined)
      return /^(Current|Authenticated|Authorized|Verified|Active)[A-Z]|(Auth|User|Scopes?|Permissions?)Dep(endency)?$/.test(
        name,
      )
    const variable = found.module.variables.get(found.name)
    return (
      variable !== undefined && variable.dependencies.length > 0 && this.#name(found.name, found.module.path, depth)
    )
  }

  #name(name: string, path: string, depth: number): boolean {
    if (name === '' || depth > MAX_DEPTH) return false
    const key = `${path} ${name}`
    const known = this.#known.get(key)
    if (known !== undefined) return known
    // Against circles: while it is being judged it guards nothing.
    this.#known.set(key, false)
    const verdict = this.#judge(name, path, depth)
    this.#known.set(key, verdict)
    return verdict
  }

  #judge(name: string, path: string, depth: number): boolean {
    const found = this.resolve(name, path)
    if (found === undefined) return soundsLikeAuthentication(this.#fullName(name, path))
    const [head = '', ...rest] = found.name.split('.')
    const { module } = found
    const fact = module.functions.get(found.name) ?? (rest.length === 0 ? module.functions.get(head) : undefined)
    if (fact !== undefined) return this.#function(fact, module, depth) || soundsLikeAuthentication(found.name)
    const variable = module.variables.get(head)
    if (variable !== undefined && rest.length === 0) {
      if (variable.isScheme || variable.dependencies.some((ref) => this.#ref(ref, module.path, depth + 1))) return true
      if (variable.items.some((item) => this.#name(item, module.path, depth + 1))) return true
      return (
        variable.dependencies.length === 0 &&
        variable.source !== undefined &&
        this.#name(variable.source, module.path, depth + 1)
      )
    }
    if (module.classes.has(head)) return this.#class(head, module, depth) || soundsLikeAuthentication(found.name)
    return soundsLikeAuthentication(found.name)
  }

  #function(fact: FunctionFacts, module: PythonModule, depth: number): boolean {
    if (fact.refuses) return true
    if (fact.dependencies.some((ref) => this.#ref(ref, module.path, depth + 1))) return true
    if (fact.calls.some((callee) => this.#callRefuses(callee, module.path))) return true
    // A factory is worth what it returns: `require_scopes("a")`.
    const inner = [...module.functions.values()].filter((other) => other !== fact && other.scope.at(-1) === fact.name)
    return depth < MAX_DEPTH && inner.some((other) => this.#function(other, module, depth + 1))
  }

  /** A dependency or a middleware as a class: any of its methods refuses, or one of its bases does. */
  #class(name: string, module: PythonModule, depth: number): boolean {
    const methods = [...module.functions].filter(([key]) => key.startsWith(`${name}.`))
    if (methods.some(([, fact]) => this.#function(fact, module, depth))) return true
    return (module.classes.get(name)?.bases ?? []).some((base) => this.#name(base, module.path, depth + 1))
  }

  /** One step only: a helper that refuses on behalf of its caller. */
  #callRefuses(callee: string, path: string): boolean {
    const bare = callee.replace(/^self\./, '')
    const found = bare.includes('(') ? undefined : this.resolve(bare, path)
    if (found !== undefined) return found.module.functions.get(found.name)?.refuses === true
    return (
      /^(verify|check|require|validate|authenticate|authorize|ensure|assert|enforce)_/.test(
        bare.slice(bare.lastIndexOf('.') + 1),
      ) && soundsLikeAuthentication(bare)
    )
  }

  #fullName(name: string, path: string): string {
    const [head = '', ...rest] = name.split('.')
    const source = this.#modules.get(path)?.imports.names.get(head)
    // What a library module is called counts only together with a verb: `from auth import verify`.
    const symbol = [source?.symbol ?? head, ...rest].join('.')
    if (source === undefined || !/^(verify|check|require|validate|ensure|get|protected?)/i.test(symbol)) return symbol
    const module = source.module.split('.').at(-1) ?? ''
    return /^(auth|authentication|authorization|security|permissions?|jwt)$/.test(module)
      ? `${module}.${symbol}`
      : symbol
  }
}
