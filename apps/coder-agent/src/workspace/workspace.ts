import { isUtf8 } from 'node:buffer'
import { TerminalError } from '@hypercode/base-agent'
import type { BaseRepository } from './base-repository.ts'
import { GitError } from './git.ts'
import type { Git } from './git.ts'
import { Refused } from './refused.ts'
import { foldersAbove } from './tree-path.ts'
import { Worktree } from './worktree.ts'

/** What one tool call has changed: the tree after it, and the diff that leads there from the tree before. */
export interface Change {
  readonly tree: string
  readonly diff: string
  /** Base64 when the diff is not UTF-8, or not storable as text. */
  readonly encoding: 'utf8' | 'base64'
}

export interface TreeEntry {
  readonly path: string
  readonly kind: 'file' | 'link' | 'folder'
  readonly id: string
  readonly bytes: number
}

/** A path whose content differs between two trees. */
export interface Difference {
  readonly path: string
  /** Of the entry after the change; `undefined` when it is gone. */
  readonly kind: 'file' | 'link' | undefined
}

/** What came of some work on the disk. */
export interface DiskWork<T> {
  readonly result: T
  readonly change: Change | undefined
  /** What was not taken over, each with the reason. */
  readonly undone: readonly string[]
}

/** Says why a path may not be changed, or nothing. */
export type Judge = (difference: Difference) => string | undefined

/**
 * The files that one attempt works on.
 * - W1: its state is a tree in the base repository. Tools read and write trees, so no link, however made, leads them anywhere
 *   else. Only commands see files on a disk: a worktree that is brought to the tree before each of them.
 * - W2: every change is known as a diff. Another attempt replays them and stands at the same tree, or fails.
 * - W3: nothing is written to the repository of the user.
 */
export class Workspace {
  readonly #base: BaseRepository
  readonly #taskId: string
  readonly #snapshot: string
  readonly #folder: string
  /** Works on trees, by an index beside the folder. */
  readonly #git: Git
  #tree: string
  /** The files on the disk, once a command has needed them. */
  #disk: Worktree | undefined

  private constructor(base: BaseRepository, taskId: string, snapshot: string, folder: string) {
    this.#base = base
    this.#taskId = taskId
    this.#snapshot = snapshot
    this.#tree = snapshot
    this.#folder = folder
    this.#git = base.git.with({ indexFile: `${folder}.index` })
  }

  /** A workspace that stands at a snapshot, which the base keeps for the task. */
  static async open(base: BaseRepository, taskId: string, snapshot: string): Promise<Workspace> {
    return new Workspace(base, taskId, snapshot, await base.openFolder(taskId))
  }

  get tree(): string {
    return this.#tree
  }

  get changed(): boolean {
    return this.#tree !== this.#snapshot
  }

  /** Does again what an earlier attempt has done, without running it. W2 */
  async replay(change: Change): Promise<void> {
    const tree = await this.#patched(this.#tree, Buffer.from(change.diff, change.encoding))
    if (tree !== change.tree) {
      throw new TerminalError('the journal of this task does not fit its snapshot', undefined, {
        code: 'journal_mismatch',
      })
    }
    this.#tree = tree
  }

  /** @throws {Refused} when a link stands in the way */
  async entry(path: string): Promise<TreeEntry | undefined> {
    const asked = [...foldersAbove(path), path]
    const entries = path === '' ? [] : await this.#entries(this.#tree, asked)
    const link = entries.find((entry) => entry.kind === 'link')
    if (link !== undefined) throw new Refused(`${link.path} is a symbolic link; use the path that it stands for`)
    return entries.find((entry) => entry.path === path)
  }

  async entries(): Promise<TreeEntry[]> {
    return parseEntries(await this.#git.parts(['ls-tree', '-r', '-z', '--long', this.#tree]))
  }

  async read(entry: TreeEntry): Promise<Buffer> {
    return await this.#git.bytes(['cat-file', 'blob', entry.id])
  }

  /** Lines that match, as `path:line:text`. */
  async search(query: readonly string[], pathspec: string, signal: AbortSignal): Promise<string[]> {
    const args = ['grep', '-n', '-I', '--full-name', ...query, this.#tree, '--', pathspec]
    try {
      const text = await this.#git.text(args, { signal, maxBytes: SEARCH_MAX_BYTES })
      const prefix = `${this.#tree}:`
      return text.split('\n').flatMap((line) => (line.startsWith(prefix) ? [line.slice(prefix.length)] : []))
    } catch (error) {
      if (error instanceof GitError && error.exitCode === 1) return [] // nothing matches
      if (error instanceof GitError) throw new Refused(`the search failed: ${error.stderr.trim() || error.message}`)
      throw error
    }
  }

  async write(path: string, content: Buffer, judge: Judge): Promise<Change> {
    const before = await this.entry(path)
    if (before?.kind === 'folder') throw new Refused(`${path} is a folder`)
    const id = await this.#git.line(['hash-object', '-w', '--stdin'], { input: content })
    const mode = before === undefined ? '100644' : await this.#modeOf(path)
    await this.#git.line(['read-tree', this.#tree])
    try {
      await this.#git.line(['update-index', '--add', '--cacheinfo', `${mode},${id},${path}`])
    } catch (error) {
      throw asRefused(error, `${path} cannot be written`)
    }
    return await this.#accept(await this.#git.line(['write-tree']), judge)
  }

  /** @throws {Refused} when the patch does not apply, or touches what it must not; then nothing of it is done */
  async patch(diff: string | Buffer, judge: Judge, options: { readonly recount?: boolean } = {}): Promise<Change> {
    const bytes = withNewline(typeof diff === 'string' ? Buffer.from(diff) : diff)
    return await this.#accept(await this.#patchedBy(bytes, options.recount === true), judge)
  }

  async #patchedBy(diff: Buffer, recount: boolean): Promise<string> {
    try {
      return await this.#patched(this.#tree, diff)
    } catch (error) {
      const refused = asRefused(error, 'the patch does not apply')
      if (!recount) throw refused
      try {
        return await this.#patched(this.#tree, diff, ['--recount'])
      } catch {
        throw refused
      }
    }
  }

  /**
   * Lets `run` work on the files in a folder, and takes over what it has changed there. Files that git ignores are no change, and
   * what `judge` refuses is put back.
   */
  async onDisk<T>(run: (folder: string) => Promise<T>, judge: Judge): Promise<DiskWork<T>> {
    const disk = (this.#disk ??= await Worktree.add(this.#base, this.#folder, this.#taskId))
    await disk.checkOut(this.#tree)
    const result = await run(this.#folder)
    try {
      const { tree, removed } = await disk.takeIn()
      const refused = (await this.#differences(this.#tree, tree)).flatMap((difference) => {
        const reason = judge(difference)
        return reason === undefined ? [] : [{ path: difference.path, reason }]
      })
      const kept = refused.length === 0 ? tree : await this.#putBack(tree, refused)
      const change = kept === this.#tree ? undefined : await this.#moveTo(kept)
      const reasons = refused.slice(0, REASONS_MAX).map(({ path, reason }) => `${path}: ${reason}`)
      return { result, change, undone: [...removed.map((path) => `${path}: not allowed in a workspace`), ...reasons] }
    } catch (error) {
      if (!(error instanceof GitError)) throw error
      // What it has left is nothing that git can take; the next command gets a fresh folder.
      this.#disk = undefined
      await this.#base.removeFolder(this.#folder)
      return { result, change: undefined, undone: [`all that it has changed: ${error.message.slice(0, 500)}`] }
    }
  }

  /** Back to where it stood before a change that was not kept. */
  async goBack(tree: string): Promise<void> {
    this.#tree = await this.#git.line(['rev-parse', '--verify', `${tree}^{tree}`])
  }

  /** Everything that has changed since the snapshot, as a patch for `git apply`. */
  async fullDiff(): Promise<Buffer> {
    return await this.#diff(this.#snapshot, this.#tree)
  }

  async changedFiles(): Promise<Difference[]> {
    return await this.#differences(this.#snapshot, this.#tree)
  }

  /** Removes what is on the disk; the snapshot stays until the base forgets it. */
  async close(): Promise<void> {
    await this.#base.removeFolder(this.#folder)
    await this.#base.removeFolder(`${this.#folder}.index`)
  }

  /** The tree that a patch makes out of another one. */
  async #patched(tree: string, diff: Buffer, options: readonly string[] = []): Promise<string> {
    await this.#git.line(['read-tree', tree])
    if (diff.byteLength > 0) {
      await this.#git.line(['apply', '--cached', '--whitespace=nowarn', ...options, '-'], { input: diff })
    }
    return await this.#git.line(['write-tree'])
  }

  async #accept(tree: string, judge: Judge): Promise<Change> {
    const reasons = (await this.#differences(this.#tree, tree)).flatMap((difference) => judge(difference) ?? [])
    if (reasons.length > 0) throw new Refused(reasons.slice(0, REASONS_MAX).join('; '))
    return await this.#moveTo(tree)
  }

  async #moveTo(tree: string): Promise<Change> {
    const diff = await this.#diff(this.#tree, tree)
    this.#tree = tree
    const encoding = isUtf8(diff) && !diff.includes(0) ? 'utf8' : 'base64'
    return { tree, diff: diff.toString(encoding), encoding }
  }

  /** The tree without the changes of some paths. */
  async #putBack(found: string, refused: readonly { readonly path: string }[]): Promise<string> {
    await this.#git.line(['read-tree', found])
    const absent = '0'.repeat(40)
    const before = new Map<string, string>()
    for (const line of await this.#git.parts(['ls-tree', '-r', '-z', this.#tree])) {
      const [head = '', path = ''] = line.split('\t')
      before.set(path, head)
    }
    const input = refused.map(({ path }) => `${before.get(path) ?? `0 blob ${absent}`}\t${path}\0`).join('')
    await this.#git.line(['update-index', '-z', '--index-info'], { input })
    return await this.#git.line(['write-tree'])
  }

  async #diff(from: string, to: string): Promise<Buffer> {
    return await this.#git.bytes(['diff-tree', '-r', '-p', '--binary', '--full-index', '--no-renames', from, to])
  }

  async #differences(from: string, to: string): Promise<Difference[]> {
    const parts = await this.#git.parts(['diff-tree', '-r', '-z', '--raw', '--no-renames', from, to])
    return parts.flatMap((head, index) => {
      if (index % 2 === 1) return []
      const mode = head.split(' ')[1]
      const kind = mode === '000000' ? undefined : mode === '100644' || mode === '100755' ? 'file' : 'link'
      return [{ path: parts[index + 1] ?? '', kind }]
    })
  }

  async #entries(tree: string, paths: readonly string[]): Promise<TreeEntry[]> {
    return parseEntries(await this.#git.parts(['ls-tree', '-z', '--long', tree, '--', ...paths]))
  }

  async #modeOf(path: string): Promise<string> {
    const line = await this.#git.line(['ls-tree', '-z', this.#tree, '--', path])
    return line.startsWith('100755') ? '100755' : '100644'
  }
}

function parseEntries(parts: readonly string[]): TreeEntry[] {
  return parts.map((part) => {
    const tab = part.indexOf('\t')
    const [mode = '', , id = '', size = ''] = part.slice(0, tab).split(/ +/)
    const kind = mode === '040000' ? 'folder' : mode.startsWith('100') ? 'file' : 'link'
    return { path: part.slice(tab + 1), kind, id, bytes: Number(size) || 0 }
  })
}

const NEWLINE = Buffer.from('\n')
const withNewline = (diff: Buffer): Buffer => (diff.at(-1) === NEWLINE[0] ? diff : Buffer.concat([diff, NEWLINE]))

function asRefused(error: unknown, what: string): unknown {
  if (!(error instanceof GitError)) return error
  return new Refused(`${what}: ${error.stderr.trim().slice(0, 2000)}`)
}

const SEARCH_MAX_BYTES = 8 * 1024 * 1024
const REASONS_MAX = 20
