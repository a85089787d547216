import type { Inventory } from '../inventory/inventory.ts'
import { folderOf } from './project.ts'

const MANIFEST =
  /(^|\/)(package\.json|pyproject\.toml|setup\.py|setup\.cfg|pipfile|requirements[\w.-]*\.(txt|in)|manage\.py|dockerfile)$/i

/** Which part of a repository a file belongs to: the nearest folder above it that holds a manifest, '' when there is none. */
export class Services {
  readonly #roots: ReadonlySet<string>
  readonly #known = new Map<string, string>()

  constructor(inventory: Inventory) {
    this.#roots = new Set(inventory.files.filter(({ path }) => MANIFEST.test(path)).map(({ path }) => folderOf(path)))
  }

  of(path: string): string {
    return this.#ofFolder(folderOf(path))
  }

  #ofFolder(folder: string): string {
    if (folder === '' || this.#roots.has(folder)) return folder
    const known = this.#known.get(folder)
    if (known !== undefined) return known
    const root = this.#ofFolder(folderOf(folder))
    this.#known.set(folder, root)
    return root
  }
}
