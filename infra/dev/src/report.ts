import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import Table from 'cli-table3'
import { pc } from './colors.ts'
import { AuditReport, ROUTES } from '@hypercode/contracts'
import type { Artifact, AuditChange, AuditFinding } from '@hypercode/contracts'
import type { HyperClient } from '@hypercode/client'
import { FormatRegistry } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { out } from './console.ts'
import { HYPERCODE_DIR } from './checkout.ts'

export interface SavedReport {
  readonly report: AuditReport
  /** The report as the agent wrote it. */
  readonly json: string
  readonly jsonFile: string
  readonly markdownFile: string | undefined
  /** All patches that were approved, as one; undefined when the crew wrote none. */
  readonly patchFile: string | undefined
}

/**
 * Fetches the report of a completed audit and keeps it under `.hypercode/reports/<mission>/`.
 *
 * @throws Error when the mission has no report, or one that does not keep to its schema
 */
export async function saveReport(client: HyperClient, missionId: string, signal: AbortSignal): Promise<SavedReport> {
  const stored = await allArtifacts(client, missionId, signal)
  const dir = path.join(HYPERCODE_DIR, 'reports', missionId)
  mkdirSync(dir, { recursive: true })
  // The last one of a name: after the patches there is another report.
  const fetchArtifact = async (
    wanted: string,
    taskKey?: string,
  ): Promise<{ file: string; text: string } | undefined> => {
    const artifact = stored.findLast((one) => one.name === wanted && (taskKey === undefined || one.taskKey === taskKey))
    if (artifact === undefined) return undefined
    const params = { id: artifact.taskId, name: artifact.name }
    const { body: bytes } = await client.raw(ROUTES.getArtifact, { params, signal })
    const file = path.join(dir, wanted)
    writeFileSync(file, bytes)
    return { file, text: bytes.toString('utf8') }
  }
  const json = await fetchArtifact('report.json')
  if (json === undefined) throw new Error(`mission ${missionId} completed without a report`)
  const report = parseReport(json.text)
  const markdown = await fetchArtifact('report.md')
  const patch = await fetchArtifact('patch.diff', 'merge')
  return {
    report,
    json: json.text,
    jsonFile: json.file,
    markdownFile: markdown?.file,
    patchFile: patch === undefined || patch.text === '' ? undefined : patch.file,
  }
}

async function allArtifacts(client: HyperClient, id: string, signal: AbortSignal): Promise<Artifact[]> {
  const artifacts: Artifact[] = []
  let cursor: string | undefined
  do {
    const query = { limit: 200, cursor }
    const { body } = await client.call(ROUTES.listMissionArtifacts, { params: { id }, query, signal })
    artifacts.push(...body.items)
    cursor = body.nextCursor
  } while (cursor !== undefined)
  return artifacts
}

/** @throws Error that names the first fault of a text that is no report */
export function parseReport(text: string): AuditReport {
  // TypeBox knows no format by itself and refuses what it does not know.
  FormatRegistry.Set('date-time', (value) => !Number.isNaN(Date.parse(value)))
  const report: unknown = JSON.parse(text)
  const fault = Value.Errors(AuditReport, report).First()
  if (fault !== undefined) throw new Error(`the report is wrong at ${fault.path}: ${fault.message}`)
  return report as AuditReport
}

const ROWS_MAX = 40

/** The findings as a table, then the counts, the score and where the report lies. */
export function printReport({ report, jsonFile, markdownFile, patchFile }: SavedReport): void {
  const { findings, counts, files, score, suppressed } = report
  if (findings.length > 0) out(findingsTable(findings.slice(0, ROWS_MAX)))
  if (findings.length > ROWS_MAX) out(pc.dim(`… and ${findings.length - ROWS_MAX} more in the report`))
  const counted = Object.entries(counts).map(([priority, count]) => `${count} ${priority}`)
  out(
    `${files.total} ${files.total === 1 ? 'file' : 'files'} read, findings: ${counted.join(', ')}${suppressed.length > 0 ? `, ${suppressed.length} accepted in the source` : ''}`,
  )
  out()
  const colour = score >= 90 ? pc.green : score >= 60 ? pc.yellow : pc.red
  out(`${pc.bold('readiness score')}  ${colour(pc.bold(`${score} / 100`))}`)
  if (report.change !== undefined) printChange(report.change, report)
  out(`${pc.bold('report')}           ${markdownFile ?? jsonFile}`)
  if (markdownFile !== undefined) out(`                 ${jsonFile}`)
  if (patchFile !== undefined) out(`${pc.bold('patch')}            git apply ${patchFile}`)
}

function printChange({ score, counts, fixed, introduced }: AuditChange, after: AuditReport): void {
  const counted = ({ P0, P1, P2 }: AuditReport['counts']): string => `${P0} P0, ${P1} P1, ${P2} P2`
  out(`before           ${score} / 100   ${counted(counts)}`)
  out(`with the patches ${after.score} / 100   ${counted(after.counts)}`)
  out(`                 ${fixed.length} findings put right, ${introduced.length} new`)
}

const PRIORITY = { P0: pc.red, P1: pc.yellow, P2: pc.dim } as const

function findingsTable(findings: readonly AuditFinding[]): string {
  const width = Math.min(160, Math.max(80, process.stdout.columns ?? 120))
  const [priorityWidth, kindWidth] = [6, 19]
  const rest = width - priorityWidth - kindWidth - 5
  const whereWidth = Math.floor(rest * 0.45)
  const table = new Table({
    head: ['', 'kind', 'where', 'what'],
    colWidths: [priorityWidth, kindWidth, whereWidth, rest - whereWidth],
    wordWrap: true,
    style: { head: pc.isColorSupported ? ['bold'] : [], border: pc.isColorSupported ? ['dim'] : [], compact: true },
  })
  for (const { priority, kind, file, line, title } of findings) {
    // A path has no words to break between.
    table.push([PRIORITY[priority](priority), kind, { content: `${file}:${line}`, wrapOnWordBoundary: false }, title])
  }
  return table.toString()
}
