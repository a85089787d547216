import { readFile, stat } from 'node:fs/promises'
import { dirname, join, relative, resolve, sep } from 'node:path'
import ignore from 'ignore'
import type { Ignore } from 'ignore'

const MAX_IGNORE_BYTES = 1024 * 1024

/** The rules of one .gitignore, with the folder it speaks about (relative to the top of the rules, '' for the top). */
interface Level {
  readonly dir: string
  readonly rules: Ignore
}

/** The ignore rules that hold in one folder: its own file and those of the folders above it. */
export class IgnoreRules {
  readonly #levels: readonly Level[]

  constructor(levels: readonly Level[] = []) {
    this.#levels = levels
  }

  with(dir: string, text: string): IgnoreRules {
    return new IgnoreRules([...this.#levels, { dir, rules: ignore().add(text) }])
  }

  /** The deepest file that has an opinion decides, as in git. `path` is relative to the top of the rules. */
  ignores(path: string, isFolder: boolean): boolean {
    for (const { dir, rules } of this.#levels.toReversed()) {
      const within = dir === '' ? path : path.slice(dir.length + 1)
      if (within === '' || within.startsWith('../') || within.startsWith('/')) continue
      const verdict = rules.test(isFolder ? `${within}/` : within)
      if (verdict.ignored) return true
      if (verdict.unignored) return false
    }
    return false
  }
}

export interface GitContext {
  /** The folder of the git repository around the audited root, or the root itself. */
  readonly top: string
  /** Where git keeps its files; undefined outside of a git repository. */
  readonly gitDir?: string
  readonly rules: IgnoreRules
  /** The audited root relative to `top`: '' or a path that ends in a slash. */
  readonly prefix: string
}

/** Finds the repository that holds `root` and reads the ignore files between its top and `root` (that of `root` not included). */
export async function gitContext(root: string): Promise<GitContext> {
  let dir = resolve(root)
  for (let up = 0; up < 40; up++) {
    const gitDir = await gitDirOf(dir)
    if (gitDir !== undefined) return await contextBelow(dir, gitDir, root)
    const parent = dirname(dir)
    if (parent === dir) break
    dir = parent
  }
  return { top: resolve(root), rules: new IgnoreRules(), prefix: '' }
}

async function contextBelow(top: string, gitDir: string, root: string): Promise<GitContext> {
  const between = relative(top, resolve(root))
    .split(sep)
    .filter((part) => part !== '')
  const exclude = await readSmall(join(gitDir, 'info', 'exclude'))
  let rules = exclude === undefined ? new IgnoreRules() : new IgnoreRules().with('', exclude)
  for (let depth = 0; depth < between.length; depth++) {
    const dir = between.slice(0, depth).join('/')
    const text = await readSmall(join(top, dir, '.gitignore'))
    if (text !== undefined) rules = rules.with(dir, text)
  }
  // Whoever asks for a folder that its repository ignores wants to see it all the same.
  if (between.length > 0 && rules.ignores(between.join('/'), true)) {
    return { top: resolve(root), rules: new IgnoreRules(), prefix: '' }
  }
  return { top, gitDir, rules, prefix: between.length === 0 ? '' : `${between.join('/')}/` }
}

async function gitDirOf(dir: string): Promise<string | undefined> {
  const path = join(dir, '.git')
  try {
    const found = await stat(path)
    if (found.isDirectory()) return path
    const link = /^gitdir: (.+)$/m.exec((await readSmall(path)) ?? '')?.[1]
    return link === undefined ? undefined : resolve(dir, link.trim())
  } catch {
    // hypercode-audit-ignore[error-handling]: no .git here; the search goes on in the folder above
    return undefined
  }
}

/** The text of a small file; undefined when it is absent, unreadable or suspiciously large. */
export async function readSmall(path: string): Promise<string | undefined> {
  try {
    const { size } = await stat(path)
    return size > MAX_IGNORE_BYTES ? undefined : await readFile(path, 'utf8')
  } catch {
    // hypercode-audit-ignore[error-handling]: absent is an answer here, as the contract above says
    return undefined
  }
}
