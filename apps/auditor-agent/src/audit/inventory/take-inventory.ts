import { lstatSync, readFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Dirent } from 'node:fs'
import { decode } from './read-text.ts'
import { roleOf } from './file-role.ts'
import type { FileRole } from './file-role.ts'
import { gitContext, readSmall } from './gitignore.ts'
import type { GitContext, IgnoreRules } from './gitignore.ts'
import { trackedPaths } from './git-index.ts'
import { DEFAULT_LIMITS } from './inventory.ts'
import type { Inventory, InventoryFile, InventoryLimits, Marker, ScriptPackage } from './inventory.ts'
import { isScript, languageOf } from './languages.ts'
import type { Language } from './languages.ts'
import { markersOf } from './markers.ts'
import { browserPackages, packageOf } from './script-packages.ts'
import { skipFolder } from './skipped-folders.ts'

export interface InventoryOptions {
  readonly signal?: AbortSignal
  readonly limits?: Partial<InventoryLimits>
  /** Called now and then with the number of files found so far. */
  readonly onProgress?: (files: number) => void | Promise<void>
}

/** Thrown when the root cannot be audited at all: missing, not a folder, not readable. */
export class RootError extends Error {
  override readonly name = 'RootError'
}

/**
 * Walks a repository once: which files there are, what they are for, which are left out and why. Symbolic links are
 * never followed, ignore files are honoured, and a file that cannot be read is counted and passed over.
 */
export async function takeInventory(root: string, options: InventoryOptions = {}): Promise<Inventory> {
  const started = performance.now()
  const top = resolve(root)
  await assertFolder(top)
  const git = await gitContext(top)
  const tracked = git.gitDir === undefined ? undefined : await trackedPaths(git.gitDir)
  const walk = new Walk(top, git, tracked, options)
  await walk.folder('', git.rules, 0)
  const packages = browserPackages(walk.packages)
  return {
    root: top,
    files: walk.files.map((file) => withBrowserRole(file, packages)).sort((a, b) => (a.path < b.path ? -1 : 1)),
    skippedBy: Object.fromEntries([...walk.skipped].sort(([a], [b]) => (a < b ? -1 : 1))),
    packages,
    markers: walk.markers,
    durationMs: performance.now() - started,
  }
}

async function assertFolder(root: string): Promise<void> {
  try {
    await readdir(root)
  } catch (error) {
    throw new RootError(`${root} cannot be read as a folder`, { cause: error })
  }
}

function withBrowserRole(file: InventoryFile, packages: readonly ScriptPackage[]): InventoryFile {
  if (file.role !== 'source' || !isScript(file.language)) return file
  const nearest = packages.find(({ dir }) => dir === '' || file.path.startsWith(`${dir}/`))
  const isBrowser =
    nearest?.browser === true || file.language === 'tsx' || file.path.endsWith('.jsx') || BROWSER_FOLDER.test(file.path)
  return isBrowser ? { ...file, role: 'browser' } : file
}

/** The inventory travels as one artifact; these two keep it small, whatever names a repository uses. */
const MAX_PATH_CHARS = 4_000_000
const MAX_MARKERS = 5_000

/** What a server hands out as it is. */
const BROWSER_FOLDER = /(^|\/)(public|static|assets|www|frontend)\//

class Walk {
  readonly files: InventoryFile[] = []
  readonly skipped = new Map<string, number>()
  readonly packages: ScriptPackage[] = []
  readonly markers: Marker[] = []
  readonly #root: string
  readonly #git: GitContext
  readonly #tracked: ReadonlySet<string> | undefined
  readonly #options: InventoryOptions
  readonly #limits: InventoryLimits
  #entries = 0
  #pathChars = 0

  constructor(root: string, git: GitContext, tracked: ReadonlySet<string> | undefined, options: InventoryOptions) {
    this.#root = root
    this.#git = git
    this.#tracked = tracked
    this.#options = options
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits }
  }

  /** `dir` is relative to the root; '' or without a slash at its end. */
  async folder(dir: string, inherited: IgnoreRules, depth: number): Promise<void> {
    this.#options.signal?.throwIfAborted()
    const entries = await this.#list(dir)
    if (entries === undefined) return
    const names = entries.map((entry) => entry.name)
    const reason = dir === '' ? undefined : skipFolder(dir.slice(dir.lastIndexOf('/') + 1), names)
    if (reason !== undefined) return this.#skip(reason)
    if (depth > this.#limits.maxDepth) return this.#skip('folder too deep')
    const rules = names.includes('.gitignore') ? await this.#rulesOf(dir, inherited) : inherited
    for (const entry of entries) {
      if (++this.#entries > this.#limits.maxEntries) return this.#skip('entry limit')
      const path = dir === '' ? entry.name : `${dir}/${entry.name}`
      if (entry.isSymbolicLink()) this.#skip('symbolic link')
      else if (entry.isDirectory()) await this.#subfolder(path, entry.name, rules, depth)
      else if (entry.isFile()) await this.#file(path, entry.name, rules)
      else this.#skip('special file')
    }
  }

  async #subfolder(path: string, name: string, rules: IgnoreRules, depth: number): Promise<void> {
    if (name === '.git') return
    if (rules.ignores(this.#git.prefix + path, true)) return this.#skip('ignored by git')
    const reason = skipFolder(name, [])
    if (reason !== undefined) return this.#skip(reason)
    await this.folder(path, rules, depth + 1)
  }

  async #file(path: string, name: string, rules: IgnoreRules): Promise<void> {
    const language = languageOf(name)
    if (language === undefined) return this.#skip('not source or configuration')
    if (/\.d\.[cm]?ts$/.test(name)) return this.#skip('type declarations')
    if (rules.ignores(this.#git.prefix + path, false)) {
      // What was committed before it was ignored is part of the repository all the same.
      if (this.#tracked?.has(this.#git.prefix + path) !== true) return this.#skip('ignored by git')
    }
    if (this.files.length >= this.#limits.maxFiles || this.#pathChars > MAX_PATH_CHARS) return this.#skip('file limit')
    const read = this.#read(path, name, language)
    if ('skip' in read) return this.#skip(read.skip)
    this.#keep(path, name, language, read.text)
    if (this.files.length % 50 === 0) await this.#options.onProgress?.(this.files.length)
  }

  /** Small and soon done; handing each file to the thread pool would cost more than reading it. */
  #read(path: string, name: string, language: Language): { text: string } | { skip: string } {
    try {
      const { size } = lstatSync(join(this.#root, path))
      if (size > this.#limits.maxFileBytes) return { skip: 'too large' }
      return decode(readFileSync(join(this.#root, path)), language, name)
    } catch {
      // counted, and in the report
      return { skip: 'not readable' }
    }
  }

  #keep(path: string, name: string, language: Language, text: string): void {
    const markers = markersOf(path, language, text)
    const role: FileRole = roleOf(path, text.slice(0, 80))
    this.#pathChars += path.length
    this.files.push({ path, bytes: Buffer.byteLength(text), language, role })
    if (name === 'package.json') this.packages.push(packageOf(path, text))
    if (this.markers.length < MAX_MARKERS) this.markers.push(...markers)
  }

  async #list(dir: string): Promise<Dirent[] | undefined> {
    try {
      const entries = await readdir(join(this.#root, dir), { withFileTypes: true })
      return entries.sort((a, b) => (a.name < b.name ? -1 : 1))
    } catch {
      this.#skip('not readable')
      return undefined
    }
  }

  async #rulesOf(dir: string, inherited: IgnoreRules): Promise<IgnoreRules> {
    const text = await readSmall(join(this.#root, dir, '.gitignore'))
    return text === undefined ? inherited : inherited.with((this.#git.prefix + dir).replace(/\/$/, ''), text)
  }

  #skip(reason: string): void {
    this.skipped.set(reason, (this.skipped.get(reason) ?? 0) + 1)
  }
}
