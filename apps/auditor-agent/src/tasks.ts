import { tmpdir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { AUDIT_KINDS } from '@hypercode/contracts'
import type { AuditKind, AuditReport } from '@hypercode/contracts'
import { TerminalError } from '@hypercode/base-agent'
import type { TaskContext } from '@hypercode/base-agent'
import {
  Project,
  RootError,
  buildReport,
  changeOf,
  createAudit,
  renderMarkdown,
  runAudits,
  takeInventory,
} from './audit/index.ts'
import type { Inventory, KindResult } from './audit/index.ts'
import { patchedCopy } from './patched-copy.ts'
import { URGENT_MAX } from './schemas.ts'
import type { AuditInput, AuditOutput } from './schemas.ts'

const INVENTORY = 'inventory.json'
const FINDINGS = 'findings.json'
const REPORT = 'report.json'
const MARKDOWN = 'report.md'
const PATCH = 'patch.diff'

const COPIES = join(tmpdir(), 'hypercode-patched')

/** Which of several repositories of a mission the findings are of. */
type StoredResult = KindResult & { readonly root: string }

/** `audit.inventory`: walks the repository once for all the others. */
export async function inventoryTask(ctx: TaskContext, root: string): Promise<AuditOutput> {
  const inventory = await inventoryOf(ctx, root)
  await ctx.artifact(INVENTORY, inventory)
  const skipped = Object.values(inventory.skippedBy).reduce((sum, count) => sum + count, 0)
  return { files: inventory.files.length, skipped, artifact: INVENTORY }
}

/** `audit.patched`: a copy of the repository with the patch that another task of the mission has stored. */
export async function patchedTask(ctx: TaskContext, root: string, patchFrom: string): Promise<AuditOutput> {
  const inventory = (await storedInventory(ctx, root)) ?? (await inventoryOf(ctx, root))
  const { bytes } = await ctx.readArtifact(patchFrom, PATCH)
  const place = { folder: COPIES, name: ctx.taskId, signal: ctx.signal }
  return { root: await patchedCopy(inventory, bytes, place), files: inventory.files.length }
}

/** `audit.secrets` and its like: one kind of audit over the files of the inventory. */
export async function kindTask(ctx: TaskContext, kind: AuditKind, root: string): Promise<AuditOutput> {
  const inventory = (await storedInventory(ctx, root)) ?? (await inventoryOf(ctx, root))
  const [result] = await auditKinds(ctx, inventory, [kind])
  if (result === undefined) throw new Error('an audit gave no result')
  const stored: StoredResult = { root: inventory.root, ...result }
  await ctx.artifact(FINDINGS, stored)
  const { checkedFiles, counts, suppressed } = result
  return { kind, checkedFiles, counts, suppressed: suppressed.length, artifact: FINDINGS }
}

/**
 * `audit.report`: everything that the other tasks of the mission have stored of the repository, as JSON and as Markdown; a mission that has
 * stored nothing of it has all of it audited here. With `before`, the key of the task that reported on the same repository before it was
 * patched, also what has changed since.
 */
export async function reportTask(ctx: TaskContext, { root, before }: AuditInput): Promise<AuditOutput> {
  const stored = await storedInventory(ctx, root)
  const inventory = stored ?? (await inventoryOf(ctx, rootOf(root)))
  const results =
    stored === undefined ? await auditKinds(ctx, inventory, AUDIT_KINDS) : await storedResults(ctx, inventory.root)
  const report = buildReport({ inventory, results, generatedAt: new Date() })
  const change = before === undefined ? undefined : changeOf(await readStored<AuditReport>(ctx, before, REPORT), report)
  const whole = change === undefined ? report : { ...report, change }
  await ctx.progress(1, 'writing the report')
  await ctx.artifact(REPORT, whole)
  await ctx.artifact(MARKDOWN, renderMarkdown(whole), 'text/markdown')
  const { score, counts, findings } = report
  const urgent = findings.filter(({ priority }) => priority !== 'P2').slice(0, URGENT_MAX)
  return {
    score,
    counts,
    urgent: urgent.map(({ code: _, ...finding }) => finding),
    reportArtifact: REPORT,
    markdownArtifact: MARKDOWN,
  }
}

export function rootOf(root: string | undefined): string {
  if (root !== undefined) return root
  throw new TerminalError('the task names no root', 'input.root is the absolute path of a repository', {
    code: 'root_missing',
  })
}

/** Every file is read and parsed once for all of these kinds. */
async function auditKinds(ctx: TaskContext, inventory: Inventory, kinds: readonly AuditKind[]): Promise<KindResult[]> {
  const project = new Project(inventory)
  const audits = kinds.map((kind) => createAudit(kind, project))
  const results = await runAudits(inventory, audits, {
    signal: ctx.signal,
    onProgress: (fraction) => ctx.progress(fraction, `${Math.round(fraction * inventory.files.length)} files`),
  })
  for (const { file, reason } of results.flatMap(({ failures }) => failures))
    ctx.log.warn({ file, reason }, 'file not analysable')
  return results
}

const storedResults = async (ctx: TaskContext, root: string): Promise<StoredResult[]> =>
  (await allStored<StoredResult>(ctx, FINDINGS)).filter((result) => result.root === root)

async function inventoryOf(ctx: TaskContext, root: string): Promise<Inventory> {
  if (!isAbsolute(root))
    throw new TerminalError('the root is not an absolute path', undefined, { code: 'root_invalid' })
  try {
    return await takeInventory(root, {
      signal: ctx.signal,
      // How many there will be is not known before the end; the bar creeps towards it.
      onProgress: (files) => ctx.progress(files / (files + 500), `${files} files`),
    })
  } catch (error) {
    if (error instanceof RootError)
      throw new TerminalError(error.message, undefined, { code: 'root_unreadable', cause: error })
    throw error
  }
}

/** The inventory that a task of this mission took of `root`, or of whatever it audits; absent when a kind is audited on its own. */
async function storedInventory(ctx: TaskContext, root: string | undefined): Promise<Inventory | undefined> {
  const inventories = await allStored<Inventory>(ctx, INVENTORY)
  return inventories.find((inventory) => root === undefined || inventory.root === root)
}

async function allStored<T>(ctx: TaskContext, name: string): Promise<T[]> {
  const stored = (await ctx.tasks.artifacts()).filter((artifact) => artifact.name === name)
  return await Promise.all(stored.map(async ({ taskKey }) => await readStored<T>(ctx, taskKey, name)))
}

/** What this agent itself wrote: only the fence stands between the two, so the shape is known. */
async function readStored<T>(ctx: TaskContext, taskKey: string, name: string): Promise<T> {
  return (await ctx.readArtifact(taskKey, name)).json() as T
}
