import { isAbsolute } from 'node:path'
import type { AuditKind } from '@hypercode/contracts'
import { TerminalError } from '@hypercode/base-agent'
import type { TaskContext } from '@hypercode/base-agent'
import {
  Project,
  RootError,
  buildReport,
  createAudit,
  renderMarkdown,
  runAudits,
  takeInventory,
} from './audit/index.ts'
import type { Inventory, KindResult } from './audit/index.ts'
import type { AuditOutput } from './schemas.ts'

const INVENTORY = 'inventory.json'
const FINDINGS = 'findings.json'

/** `audit.inventory`: walks the repository once for all the others. */
export async function inventoryTask(ctx: TaskContext, root: string): Promise<AuditOutput> {
  const inventory = await inventoryOf(ctx, root)
  await ctx.artifact(INVENTORY, inventory)
  const skipped = Object.values(inventory.skippedBy).reduce((sum, count) => sum + count, 0)
  return { files: inventory.files.length, skipped, artifact: INVENTORY }
}

/** `audit.secrets` and its like: one kind of audit over the files of the inventory. */
export async function kindTask(ctx: TaskContext, kind: AuditKind, root: string): Promise<AuditOutput> {
  const inventory = (await storedInventory(ctx, root)) ?? (await inventoryOf(ctx, root))
  const [result] = await runAudits(inventory, [createAudit(kind, new Project(inventory))], {
    signal: ctx.signal,
    onProgress: (fraction) => ctx.progress(fraction, `${Math.round(fraction * inventory.files.length)} files`),
  })
  if (result === undefined) throw new Error('an audit gave no result')
  for (const { file, reason } of result.failures) ctx.log.warn({ file, reason }, 'file not analysable')
  await ctx.artifact(FINDINGS, result)
  const { checkedFiles, counts, suppressed } = result
  return { kind, checkedFiles, counts, suppressed: suppressed.length, artifact: FINDINGS }
}

/** `audit.report`: everything that the other tasks of the mission have stored, as JSON and as Markdown. */
export async function reportTask(ctx: TaskContext): Promise<AuditOutput> {
  const stored = await ctx.tasks.artifacts()
  const inventoryTaskKey = stored.find(({ name }) => name === INVENTORY)?.taskKey
  if (inventoryTaskKey === undefined) throw new TerminalError('the mission has no inventory to report on')
  const inventory = await readStored<Inventory>(ctx, inventoryTaskKey, INVENTORY)
  const results: KindResult[] = []
  for (const { taskKey } of stored.filter(({ name }) => name === FINDINGS)) {
    results.push(await readStored<KindResult>(ctx, taskKey, FINDINGS))
  }
  const report = buildReport({ inventory, results, generatedAt: new Date() })
  await ctx.progress(0.5, 'writing the report')
  await ctx.artifact('report.json', report)
  await ctx.artifact('report.md', renderMarkdown(report), 'text/markdown')
  return { score: report.score, counts: report.counts, reportArtifact: 'report.json', markdownArtifact: 'report.md' }
}

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

/** The inventory that a task of this mission took of the same root; absent when a kind is audited on its own. */
async function storedInventory(ctx: TaskContext, root: string): Promise<Inventory | undefined> {
  const stored = (await ctx.tasks.artifacts()).find(({ name }) => name === INVENTORY)
  if (stored === undefined) return undefined
  const inventory = await readStored<Inventory>(ctx, stored.taskKey, INVENTORY)
  return inventory.root === root ? inventory : undefined
}

/** What this agent itself wrote: only the fence stands between the two, so the shape is known. */
async function readStored<T>(ctx: TaskContext, taskKey: string, name: string): Promise<T> {
  return (await ctx.readArtifact(taskKey, name)).json() as T
}
