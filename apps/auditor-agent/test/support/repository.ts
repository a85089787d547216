import { AuditReport } from '@hypercode/contracts'
import type { AuditFinding, AuditKind } from '@hypercode/contracts'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Value } from '@sinclair/typebox/value'
import { createAudit } from '../../src/audit/audits.ts'
import { takeInventory } from '../../src/audit/inventory/take-inventory.ts'
import { runAudits } from '../../src/audit/run-audits.ts'
import type { KindResult } from '../../src/audit/run-audits.ts'
import { Project } from '../../src/audit/source/project.ts'

/** Files of a repository by path; a leading line break and common indentation are taken off the text. */
export type Files = Readonly<Record<string, string | Buffer>>

/** Writes the files into a fresh folder, hands it to `use`, and removes it. */
export async function withRepository<T>(files: Files, use: (root: string) => Promise<T>): Promise<T> {
  const root = await mkdtemp(join(tmpdir(), 'auditor-'))
  try {
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(join(root, path)), { recursive: true })
      await writeFile(join(root, path), typeof content === 'string' ? dedent(content) : content)
    }
    return await use(root)
  } finally {
    await rm(root, { recursive: true, force: true })
  }
}

export async function auditKind(kind: AuditKind, files: Files): Promise<KindResult> {
  return await withRepository(files, async (root) => {
    const inventory = await takeInventory(root)
    const [result] = await runAudits(inventory, [createAudit(kind, new Project(inventory))])
    if (result === undefined) throw new Error('the audit gave no result')
    if (result.failures.length > 0) throw new Error(`the audit failed: ${JSON.stringify(result.failures)}`)
    return result
  })
}

/** `rule P0 high app/main.py:3-4`: everything about a finding that a table wants to pin. */
export function describeFinding({ rule, priority, confidence, file, line, endLine }: AuditFinding): string {
  return `${rule} ${priority} ${confidence} ${file}:${line === endLine ? line : `${line}-${endLine}`}`
}

export function dedent(text: string): string {
  if (!text.startsWith('\n')) return text
  const lines = text.slice(1).split('\n')
  const margins = lines.filter((line) => line.trim() !== '').map((line) => line.length - line.trimStart().length)
  const margin = Math.min(...margins)
  return lines.map((line) => line.slice(Number.isFinite(margin) ? margin : 0)).join('\n')
}

/** Where a report breaks its schema. TypeBox knows no dates; Ajv checks those elsewhere. */
export function faultsOf(report: unknown): string[] {
  return [...Value.Errors(AuditReport, report)]
    .map(({ path, message }) => `${path} ${message}`)
    .filter((fault) => !fault.startsWith('/generatedAt '))
}
