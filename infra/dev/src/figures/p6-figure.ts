import type { HyperClient } from '@hypercode/client'
import { MISSION_STATES, ROUTES } from '@hypercode/contracts'
import { openDatabase } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import { sql } from 'kysely'
import { OVERDUE, SINGLE } from '../bench/crews.ts'
import { fillWithEndedTasks } from '../bench/history.ts'
import { describePlan, openPlanLog, pagesOf } from '../bench/plan-log.ts'
import type { PlanLog, PlanNode, SeenStatement } from '../bench/plan-log.ts'
import { startRig } from '../bench/rig.ts'
import type { Rig } from '../bench/rig.ts'
import { median } from '../bench/statistics.ts'
import { submitBulk } from '../bench/workloads.ts'
import type { FigureSpec } from './figure.ts'

const ENDED = 1_000_000
const LIVE = 10_000
const DUE = 200
const CLAIM_MAX_PAGES = 50
/** The list of queues counts what is queued; a list that walks through what has ended looks at 250,000. */
const READ_MAX_PAGES = 5000
/** Claims that are looked at, before and after the tables have grown. */
const CLAIMS = 200
const WAIT_MS = 60_000
/** Tables that grow with every mission: reading one of them from end to end gets slower with every mission. */
const GROWING = new Set(['missions', 'tasks', 'attempts', 'mission_events', 'task_dependencies'])

/** By what the statements are known in the log; they themselves come from the services that run. */
const isClaim = ({ text }: SeenStatement): boolean => text.includes(`set state = 'executing'`)
const isSweep = (one: SeenStatement): boolean => one.text.includes('due_at <= now()') && lockOf(one) !== undefined

const isRead = ({ text }: SeenStatement): boolean => !/\b(insert into|update|delete from)\b/.test(text)

export const costGrowth: FigureSpec = {
  name: 'P6',
  about: `the claim of a task with ${LIVE.toLocaleString('en')} queued ones and ${ENDED.toLocaleString('en')} ended ones in the tables: pages that the statement touches, by its measured plan`,
  bar: `<= ${CLAIM_MAX_PAGES} pages, reads <= ${READ_MAX_PAGES}, no sequential scan`,
  async measure() {
    const rig = await startRig({ agents: 0, durable: false })
    const owner = openDatabase({
      url: rig.platform.stack.directDatabaseUrl,
      poolMax: 1,
      applicationName: 'figure-owner',
      onIdleError: () => undefined,
      queryTimeoutMs: 300_000,
    })
    try {
      return await measureWith(rig, owner.db)
    } finally {
      await owner.close()
      await rig.stop()
    }
  },
}

async function measureWith(rig: Rig, owner: Db) {
  const { client, stack } = rig.platform
  for (const crew of [SINGLE, OVERDUE]) await client.call(ROUTES.createCrew, { body: crew as never })
  await submitBulk(rig, 'bench-single', LIVE)
  const { logFile } = stack.servers.postgres
  if (logFile === undefined) throw new Error('Postgres does not log into a file of ours')
  const log = await openPlanLog(owner, logFile)
  // One slot: each claim is for one task, as the agent is free again.
  await rig.addAgents({ instances: 1, slots: 1 })
  const before = (await untilSeen(log, isClaim, () => 1, CLAIMS)).filter(isClaim)

  await fillWithEndedTasks(owner, await tenantOf(owner), ENDED)
  await submitBulk(rig, 'bench-single', LIVE - (await countQueued(owner)))
  await sql`vacuum analyze`.execute(owner)
  log.skip()
  const after = await untilSeen(log, isClaim, () => 1, CLAIMS)
  await submitBulk(rig, 'bench-overdue', DUE)
  const swept = await untilSeen(log, isSweep, rowsOf, DUE)

  log.skip()
  const asked = await readAll(rig.platform.client)
  const read = await untilSeen(log, isRead, () => 1, asked)

  const claims = after.filter(isClaim)
  const scanned = [...new Set([...after, ...swept, ...read].flatMap(readFromEndToEnd))]
  const largestRead = read.toSorted((a, b) => b.pages - a.pages)[0]
  const pages = median(claims.map((one) => one.pages))
  const largest = swept.filter(isSweep).toSorted((a, b) => rowsOf(b) - rowsOf(a))[0] as SeenStatement
  explain('a claim', claims.toSorted((a, b) => a.pages - b.pages)[Math.floor(claims.length / 2)])
  explain('the largest of the reads', largestRead)
  explain(`the sweep of ${rowsOf(largest)} due tasks`, largest)
  return {
    figure: pages,
    unit: 'pages',
    ok: pages <= CLAIM_MAX_PAGES && scanned.length === 0,
    more: {
      claims: claims.length,
      claimPagesWithoutHistory: median(before.map((one) => one.pages)),
      claimPagesMost: Math.max(...claims.map((one) => one.pages)),
      claimPagesInAll: median(claims.map((one) => one.pagesInAll)),
      claimPagesToFindAndLock: median(claims.map((one) => pagesOf(lockOf(one)))),
      claimMs: median(claims.map((one) => one.ms)),
      emptySweepPages: Math.max(...after.filter((one) => isSweep(one) && rowsOf(one) === 0).map((one) => one.pages)),
      sweepRows: rowsOf(largest),
      sweepPages: largest.pages,
      sweepMs: largest.ms,
      reads: asked,
      readPagesMost: largestRead?.pages ?? 0,
      readMsMost: Math.max(...read.map((one) => one.ms)),
      statements: after.length + swept.length + read.length,
      sequentialScans: scanned.join(', ') || 'none',
    },
  }
}

/** So often that the plan is one that is kept. */
const READ_TIMES = 30

/** What people look at, first page and next one; answers how many requests that were. */
async function readAll(client: HyperClient): Promise<number> {
  const lists = [
    {},
    ...MISSION_STATES.map((state) => ({ state })),
    { crew: 'history' },
    { correlationId: 'history-77' },
  ]
  let asked = 0
  for (let time = 0; time < READ_TIMES; time += 1) {
    for (const filter of lists) {
      const { body } = await client.call(ROUTES.listMissions, { query: { ...filter, limit: 50 } })
      asked += 1
      if (body.nextCursor === undefined) continue
      await client.call(ROUTES.listMissions, { query: { ...filter, limit: 50, cursor: body.nextCursor } })
      asked += 1
    }
    const { body } = await client.call(ROUTES.listMissions, { query: { crew: 'history', limit: 1 } })
    const params = { id: body.items[0]?.id ?? '' }
    await client.call(ROUTES.getMission, { params })
    const tasks = await client.call(ROUTES.listMissionTasks, { params, query: {} })
    await client.call(ROUTES.getMissionJournal, { params, query: {} })
    const task = { id: tasks.body.items[0]?.id ?? '' }
    await client.call(ROUTES.getTask, { params: task })
    await client.call(ROUTES.explainTask, { params: task })
    await client.call(ROUTES.listDeadLetters, { query: {} })
    await client.call(ROUTES.listApprovals, { query: {} })
    await client.call(ROUTES.listQueues, { query: {} })
    asked += 9
  }
  return asked
}

/** The measured plan for a person, on stderr: stdout is for the figure alone. */
function explain(what: string, one: SeenStatement | undefined): void {
  if (one !== undefined) process.stderr.write(`${what}: ${one.pages} pages, ${one.ms} ms\n${describePlan(one)}\n\n`)
}

/** Where a statement locks what it has found; what comes after is writing. */
const lockOf = ({ nodes }: SeenStatement): PlanNode | undefined =>
  nodes.find((node) => node['Node Type'] === 'LockRows')

const rowsOf = ({ nodes }: SeenStatement): number => nodes[0]['Actual Rows']

const readFromEndToEnd = ({ nodes }: SeenStatement): string[] =>
  nodes
    .filter((node) => node['Node Type'] === 'Seq Scan' && GROWING.has(node['Relation Name'] ?? ''))
    .map((node) => node['Relation Name'] ?? '')

/** Everything that the services ran until what was wanted has come to the total. */
async function untilSeen(
  log: PlanLog,
  isWanted: (one: SeenStatement) => boolean,
  weigh: (one: SeenStatement) => number,
  total: number,
): Promise<SeenStatement[]> {
  const deadline = performance.now() + WAIT_MS
  const seen: SeenStatement[] = []
  while (seen.filter(isWanted).reduce((sum, one) => sum + weigh(one), 0) < total) {
    if (performance.now() > deadline) throw new Error(`${isWanted.name}: not ${total} within ${WAIT_MS} ms`)
    await new Promise((resolve) => setTimeout(resolve, 200))
    seen.push(...log.take())
  }
  return seen
}

async function tenantOf(owner: Db): Promise<string> {
  const { tenant_id } = await owner.selectFrom('missions').select('tenant_id').limit(1).executeTakeFirstOrThrow()
  return tenant_id
}

async function countQueued(owner: Db): Promise<number> {
  const { rows } = await sql<{ n: number }>`select count(*) as n from tasks where state = 'queued'`.execute(owner)
  return rows[0]?.n ?? 0
}
