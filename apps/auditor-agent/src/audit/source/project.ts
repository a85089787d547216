import type { Inventory } from '../inventory/inventory.ts'
import { isScript } from '../inventory/languages.ts'
import type { PythonImport } from './python.ts'

/** The files of a repository as modules: which file an import means. Works on paths alone. */
export class Project {
  readonly inventory: Inventory
  readonly #paths: ReadonlySet<string>
  readonly #pythonByName = new Map<string, string[]>()
  readonly #scripts = new Map<string, string>()
  readonly #scriptsByName = new Map<string, string[]>()
  readonly #packages = new Map<string, string>()
  readonly #cache = new Map<string, string | undefined>()

  constructor(inventory: Inventory) {
    this.inventory = inventory
    this.#paths = new Set(inventory.files.map((file) => file.path))
    for (const file of inventory.files) {
      if (file.language === 'python') this.#addPython(file.path)
      else if (isScript(file.language)) this.#addScript(file.path)
    }
    for (const { name, dir } of inventory.packages) if (name !== undefined) this.#packages.set(name, dir)
  }

  has(path: string): boolean {
    return this.#paths.has(path)
  }

  /** The file of a Python module, seen from `importer`. With a symbol that is itself a module, that module. */
  pythonModule(
    importer: string,
    { level, module, symbol }: PythonImport,
  ): { file: string; symbol?: string } | undefined {
    const parts = module === '' ? [] : module.split('.')
    if (symbol !== undefined) {
      const nested = this.#python(importer, level, [...parts, symbol])
      if (nested !== undefined) return { file: nested }
    }
    const file = this.#python(importer, level, parts)
    if (file === undefined) return undefined
    return symbol === undefined ? { file } : { file, symbol }
  }

  /** The file that `source` means in an import of `importer`: relative, of a workspace package, or behind a path alias. */
  scriptModule(importer: string, source: string): string | undefined {
    const key = source.startsWith('.') ? `${folderOf(importer)} ${source}` : source
    if (!this.#cache.has(key)) this.#cache.set(key, this.#resolveScript(importer, source))
    return this.#cache.get(key)
  }

  #addPython(path: string): void {
    const stem = path.replace(/\.py$/, '').replace(/(^|\/)__init__$/, '')
    const name = stem.slice(stem.lastIndexOf('/') + 1)
    const known = this.#pythonByName.get(name)
    if (known === undefined) this.#pythonByName.set(name, [path])
    else known.push(path)
  }

  #addScript(path: string): void {
    const stem = path.replace(/\.[cm]?[jt]sx?$/, '')
    for (const key of new Set([stem, stem.replace(/\/?index$/, '')])) {
      if (this.#scripts.has(key)) continue
      this.#scripts.set(key, path)
      const name = key.slice(key.lastIndexOf('/') + 1)
      const known = this.#scriptsByName.get(name)
      if (known === undefined) this.#scriptsByName.set(name, [key])
      else known.push(key)
    }
  }

  #python(importer: string, level: number, parts: readonly string[]): string | undefined {
    if (level > 0) {
      const base = folderOf(importer)
        .split('/')
        .filter((part) => part !== '')
      if (level - 1 > base.length) return undefined
      const target = [...base.slice(0, base.length - (level - 1)), ...parts].join('/')
      return [`${target}.py`, target === '' ? '__init__.py' : `${target}/__init__.py`].find((path) => this.has(path))
    }
    const name = parts.at(-1)
    if (name === undefined) return undefined
    const tail = parts.join('/')
    const candidates = (this.#pythonByName.get(name) ?? []).filter((path) => {
      const stem = path.replace(/\.py$/, '').replace(/\/__init__$/, '')
      return stem === tail || stem.endsWith(`/${tail}`)
    })
    return nearest(candidates, importer)
  }

  #resolveScript(importer: string, source: string): string | undefined {
    if (source.startsWith('.')) return this.#scripts.get(scriptStem(join(folderOf(importer), source)))
    const parts = source.split('/')
    const packageName = source.startsWith('@') && parts.length > 1 ? parts.slice(0, 2).join('/') : (parts[0] ?? '')
    const dir = this.#packages.get(packageName)
    if (dir !== undefined) {
      const rest = parts.slice(packageName.split('/').length).join('/')
      return [join(dir, `src/${rest}`), join(dir, rest), join(dir, 'lib/' + rest)]
        .map((path) => this.#scripts.get(scriptStem(path)))
        .find((path) => path !== undefined)
    }
    // `@/auth/guard`, `~/auth/guard`, `src/auth/guard`: aliases of a source folder, whatever the compiler calls it.
    const alias = /^(?:[@~#]\/|src\/)(.+)$/.exec(source)?.[1]
    if (alias === undefined) return undefined
    const stem = scriptStem(alias)
    const sameName = this.#scriptsByName.get(stem.slice(stem.lastIndexOf('/') + 1)) ?? []
    const found = sameName.filter((key) => key === stem || key.endsWith(`/${stem}`))
    return nearest(
      found.map((key) => this.#scripts.get(key) ?? ''),
      importer,
    )
  }
}

export function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')))
}

/** Joins and normalises relative paths with forward slashes. */
function join(dir: string, path: string): string {
  const parts = dir === '' ? [] : dir.split('/')
  for (const part of path.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '.' && part !== '') parts.push(part)
  }
  return parts.join('/')
}

function scriptStem(path: string): string {
  return path.replace(/\.[cm]?[jt]sx?$/, '').replace(/\/?index$/, '')
}

/** The candidate that shares the longest path with the importer, the shortest of several. */
function nearest(candidates: readonly string[], importer: string): string | undefined {
  const from = importer.split('/')
  const shared = (path: string): number => {
    const parts = path.split('/')
    let count = 0
    while (count < parts.length && parts[count] === from[count]) count++
    return count
  }
  return candidates.toSorted((a, b) => shared(b) - shared(a) || a.length - b.length)[0]
}
