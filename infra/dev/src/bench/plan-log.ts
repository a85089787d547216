import { closeSync, openSync, readSync, statSync } from 'node:fs'
import type { Db } from '@hypercode/db'
import { APP_ROLE } from '@hypercode/local-stack'
import { sql } from 'kysely'

/** A statement as a service sent it, and how Postgres ran it: the measured plan of that very run. */
export interface SeenStatement {
  readonly text: string
  readonly ms: number
  /** Pages of tables and indexes that it looked at, by what `EXPLAIN` says of the root. */
  readonly pages: number
  /** Those of writing parts that nobody reads from, too: they run when the root is done, and it does not count them. */
  readonly pagesInAll: number
  /** The root, and all below it. */
  readonly nodes: readonly [PlanNode, ...PlanNode[]]
}

export interface PlanNode {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Index Name'?: string
  readonly 'Subplan Name'?: string
  readonly 'CTE Name'?: string
  readonly 'Actual Rows': number
  readonly 'Shared Hit Blocks'?: number
  readonly 'Shared Read Blocks'?: number
  readonly Plans?: readonly PlanNode[]
}

export interface PlanLog {
  /** What ran since the log was opened, or since the last call. */
  take(): SeenStatement[]
  /** Passes over what ran until now, which may be more than fits into a string. */
  skip(): void
}

/**
 * Has Postgres log the measured plan of every statement of the services from now on (`auto_explain`, part of Postgres). Their connections
 * are closed while they are idle, as it is loaded when one begins; the pooler opens others.
 */
export async function openPlanLog(owner: Db, logFile: string): Promise<PlanLog> {
  for (const [name, value] of Object.entries(SETTINGS)) {
    await sql.raw(`alter role ${APP_ROLE} set ${name} = ${value}`).execute(owner)
  }
  await closeIdleConnections(owner)
  let offset = statSync(logFile).size
  return {
    take() {
      const fresh = readFrom(logFile, offset)
      // What is being written just now is left for the next time.
      const end = fresh.lastIndexOf(PLAN_END) + PLAN_END.length
      if (end < PLAN_END.length) return []
      offset += end
      return parsePlans(fresh.subarray(0, end).toString('utf8'))
    },
    skip() {
      offset = statSync(logFile).size
    },
  }
}

function readFrom(file: string, offset: number): Buffer {
  const fd = openSync(file, 'r')
  try {
    const fresh = Buffer.alloc(statSync(file).size - offset)
    return fresh.subarray(0, readSync(fd, fresh, 0, fresh.length, offset))
  } finally {
    closeSync(fd)
  }
}

/** The line that closes a plan; those inside are indented further. */
const PLAN_END = '\n\t}\n'

const SETTINGS = {
  session_preload_libraries: 'auto_explain',
  'auto_explain.log_min_duration': '0',
  'auto_explain.log_analyze': 'on',
  'auto_explain.log_buffers': 'on',
  // Looking at the clock for every row would slow down what is measured.
  'auto_explain.log_timing': 'off',
  'auto_explain.log_format': 'json',
  // The services plan none, which would hide from the reader of these plans that an index is missing.
  enable_seqscan: 'on',
} as const

/** In a transaction of another they stay; those that are left after a while are counted as a fault by whoever finds no plans. */
async function closeIdleConnections(owner: Db): Promise<void> {
  const startedAt = new Date().toISOString()
  const deadline = performance.now() + 10_000
  for (;;) {
    const { rows } = await sql<{ left: number }>`
      with old as (select pid, state from pg_stat_activity where usename = ${APP_ROLE} and backend_start < ${startedAt}::timestamptz),
        closed as (select pg_terminate_backend(pid) from old where state = 'idle')
      select (select count(*) from old) as left, (select count(*) from closed) as closed`.execute(owner)
    if (rows[0]?.left === 0) return
    if (performance.now() > deadline)
      throw new Error('the services keep connections that began before the plans were asked for')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Each plan is a line of the log with a duration, and below it JSON, of which every line begins with a tab. */
export function parsePlans(log: string): SeenStatement[] {
  const entry = /duration: ([\d.]+) ms {2}plan:\n(\t\{\n(?:\t.*\n)*?\t\}\n)/g
  return Array.from(log.matchAll(entry), ([, ms, json]) => {
    const { 'Query Text': text, Plan: plan } = JSON.parse(json ?? '') as { 'Query Text': string; Plan: PlanNode }
    const nodes = nodesOf(plan)
    return { text, ms: Number(ms), pages: pagesOf(plan), pagesInAll: pagesOf(plan) + pagesAfter(nodes), nodes }
  })
}

/** Of a node and all below it. */
export const pagesOf = (node: PlanNode | undefined): number =>
  (node?.['Shared Hit Blocks'] ?? 0) + (node?.['Shared Read Blocks'] ?? 0)

function pagesAfter(nodes: readonly PlanNode[]): number {
  const read = new Set(nodes.map((node) => `CTE ${node['CTE Name'] ?? ''}`))
  const isAfter = (node: PlanNode): boolean =>
    node['Node Type'] === 'ModifyTable' && node['Subplan Name'] !== undefined && !read.has(node['Subplan Name'])
  return nodes.filter(isAfter).reduce((sum, node) => sum + pagesOf(node), 0)
}

const nodesOf = (node: PlanNode): [PlanNode, ...PlanNode[]] => [node, ...(node.Plans ?? []).flatMap(nodesOf)]

/** A line for each node, indented as in `EXPLAIN`. */
export function describePlan({ nodes: [root] }: SeenStatement): string {
  const lines = (node: PlanNode, depth: number): string[] => [
    `${'  '.repeat(depth)}${titleOf(node)}  (rows ${node['Actual Rows']}, pages ${pagesOf(node)})`,
    ...(node.Plans ?? []).flatMap((child) => lines(child, depth + 1)),
  ]
  return lines(root, 0).join('\n')
}

function titleOf(node: PlanNode): string {
  const { 'Subplan Name': subplan, 'Index Name': index, 'Relation Name': table } = node
  const on = table === undefined ? '' : ` on ${table}`
  return `${subplan === undefined ? '' : `${subplan}: `}${node['Node Type']}${index === undefined ? '' : ` using ${index}`}${on}`
}
