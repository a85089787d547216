import { AUDIT_KINDS, AuditReport } from '@hypercode/contracts'
import type { AuditFinding } from '@hypercode/contracts'
import { Ajv } from 'ajv'
import addFormats from 'ajv-formats'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { auditRepository, buildReport, renderMarkdown } from '../src/audit/index.ts'
import type { Inventory, KindResult } from '../src/audit/index.ts'
import { countsOf } from '../src/audit/report/findings.ts'
import { verdictOf } from '../src/audit/report/markdown.ts'
import { weightOf } from '../src/audit/report/score.ts'
import { HYPERCODE_V2 } from './support/hypercode-v2.ts'
import { faultsOf, withRepository } from './support/repository.ts'

const INVENTORY: Inventory = {
  root: '/srv/app',
  files: [],
  skippedBy: { binary: 2 },
  packages: [],
  markers: [],
  durationMs: 5,
}

const findings = fc.array(
  fc.record({
    kind: fc.constantFrom(...AUDIT_KINDS),
    rule: fc.constantFrom('a', 'b'),
    priority: fc.constantFrom('P0', 'P1', 'P2'),
    confidence: fc.constantFrom('high', 'medium', 'low'),
    title: fc.string(),
    file: fc.constantFrom('a.py', 'b.ts'),
    line: fc.integer({ min: 1, max: 99 }),
    endLine: fc.integer({ min: 99, max: 120 }),
    code: fc.string(),
    impact: fc.string(),
    recommendation: fc.string(),
  }) as fc.Arbitrary<AuditFinding>,
  { maxLength: 60 },
)

function reportOn(all: readonly AuditFinding[], change: Partial<KindResult> = {}): AuditReport {
  const results = AUDIT_KINDS.map((kind): KindResult => {
    const own = all.filter((finding) => finding.kind === kind)
    const base = {
      kind,
      checkedFiles: 1,
      findings: own,
      omitted: 0,
      counts: countsOf(own),
      weight: weightOf(own),
      suppressed: [],
      failures: [],
      durationMs: 1,
    }
    return { ...base, ...change }
  })
  return buildReport({ inventory: INVENTORY, results, generatedAt: new Date('2026-02-15T12:00:00Z') })
}

describe('the report', () => {
  test('keeps to its schema, as Ajv reads it', async () => {
    await withRepository(HYPERCODE_V2, async (root) => {
      const report: unknown = JSON.parse(JSON.stringify(await auditRepository(root)))
      const ajv = new Ajv({ allErrors: true })
      addFormats.default(ajv)
      const isValid = ajv.compile(AuditReport)
      isValid(report)
      expect(isValid.errors ?? []).toEqual([])
      expect(isValid({ ...(report as object), extra: 1 })).toBe(false)
      expect(isValid({ ...(report as object), score: 101 })).toBe(false)
    })
  })

  test('keeps to its schema for whatever was found', () => {
    fc.assert(
      fc.property(findings, (all) => {
        expect(faultsOf(reportOn(all))).toEqual([])
      }),
    )
  })

  test('puts the most urgent first, and is the same whatever the order of the findings', () => {
    fc.assert(
      fc.property(findings, fc.nat(), (all, seed) => {
        const { findings: sorted } = reportOn(all)
        const priorities = sorted.map(({ priority }) => priority)
        expect(priorities).toEqual(priorities.toSorted())
        const shuffled = all.toSorted((a, b) => ((a.line * 31 + seed) % 7) - ((b.line * 31 + seed) % 7))
        expect(reportOn(shuffled).score).toBe(reportOn(all).score)
      }),
    )
  })

  test('counts files that no audit could get through', () => {
    const failures = [{ file: 'a.py', reason: 'x' }]
    expect(reportOn([], { failures }).skippedBy).toEqual({ binary: 2, 'not analysable': 1 })
  })

  test('says how many findings had no room', () => {
    const long = 'x'.repeat(4_000)
    const many = Array.from(
      { length: 2_000 },
      (_, n): AuditFinding => ({
        kind: 'logging',
        rule: 'a',
        priority: n < 10 ? 'P1' : 'P2',
        confidence: 'high',
        title: long,
        file: 'a.py',
        line: n + 1,
        endLine: n + 1,
        code: long,
        impact: '',
        recommendation: '',
      }),
    )
    const report = reportOn(many)
    expect(JSON.stringify(report).length).toBeLessThan(7 * 1024 * 1024)
    expect(report.findings.filter(({ priority }) => priority === 'P1')).toHaveLength(10)
    expect(report.omitted).toBe(2_000 - report.findings.length)
    expect(report.omitted).toBeGreaterThan(0)
    expect(report.counts).toEqual({ P0: 0, P1: 10, P2: 1_990 })
  })
})

describe('the score', () => {
  test('of nothing is 100, and of anything less', () => {
    expect(reportOn([]).score).toBe(100)
    fc.assert(
      fc.property(findings, (all) => {
        expect(reportOn(all).score === 100).toBe(all.length === 0)
      }),
    )
  })

  test('never rises with another finding, with a higher priority or with more confidence', () => {
    fc.assert(
      fc.property(findings, (all) => {
        const [first, ...rest] = all
        const whole = reportOn(all).score
        if (first === undefined) return
        expect(whole).toBeLessThanOrEqual(reportOn(rest).score)
        expect(reportOn([{ ...first, priority: 'P0' }, ...rest]).score).toBeLessThanOrEqual(whole)
        expect(reportOn([{ ...first, confidence: 'high' }, ...rest]).score).toBeLessThanOrEqual(whole)
      }),
    )
  })

  test('is what its formula says', () => {
    const one = { rule: 'a', title: '', file: 'a.py', line: 1, endLine: 1, code: '', impact: '', recommendation: '' }
    const report = reportOn([
      { ...one, kind: 'secrets', priority: 'P0', confidence: 'high' },
      { ...one, kind: 'secrets', priority: 'P1', confidence: 'medium' },
      { ...one, kind: 'logging', priority: 'P2', confidence: 'low' },
    ])
    expect(report.kinds.secrets.penalty).toBe(5.2)
    expect(report.kinds.logging.penalty).toBe(0.15)
    expect(report.score).toBe(94)
    expect(report.scoreFormula).toContain('4 (P0), 2 (P1) or 0.5 (P2)')
  })

  test('takes no more for one kind than its cap, and never falls below 0', () => {
    const one = { rule: 'a', title: '', file: 'a.py', line: 1, endLine: 1, code: '', impact: '', recommendation: '' }
    const many = AUDIT_KINDS.flatMap((kind) =>
      Array.from({ length: 30 }, () => ({ ...one, kind, priority: 'P0' as const, confidence: 'high' as const })),
    )
    expect(reportOn(many.filter(({ kind }) => kind === 'logging')).score).toBe(90)
    expect(reportOn(many).score).toBe(0)
  })
})

describe('the Markdown report', () => {
  test('has the summary, the score with its formula, P0, P1, P2 and the plan', async () => {
    await withRepository(HYPERCODE_V2, async (root) => {
      const report = await auditRepository(root)
      const text = renderMarkdown(report)
      const headings = [...text.matchAll(/^#{1,2} .*$/gm)].map(([line]) => line)
      expect(headings).toEqual([
        '# Readiness audit',
        '## 1. Summary',
        '## 2. Critical issues (P0, before anything else)',
        '## 3. Major improvements (P1, before production)',
        '## 4. Minor improvements (P2)',
        '## 5. Action plan',
        '## Notes',
      ])
      expect(text).toContain(`**Readiness score: ${report.score} of 100 (not ready: work is left)**`)
      expect(text).toContain(report.scoreFormula)
      expect(text).toContain('`hypercode-core/app/core/config.py:11`')
      expect(text).toContain('JWT_SECRET: str = "changethis"')
      expect(text).toContain('POST /agents/register has no authentication')
      const plan = [...text.matchAll(/^\| \*\*(P\d)\*\* /gm)].map((match) => match[1])
      expect(plan).toEqual(['P0', 'P0', 'P0', 'P1', 'P1', 'P1', 'P1'])
    })
  })

  test('of a clean repository says so', () => {
    const text = renderMarkdown(reportOn([]))
    expect(text).toContain('Readiness score: 100 of 100 (ready for production)')
    expect(text).toContain('Nothing was found.')
    expect(text).toContain('Nothing to do.')
  })

  test('keeps code of the repository inside of its fence, and titles free of markup', () => {
    fc.assert(
      fc.property(findings, (all) => {
        const hostile = all.map((finding) => ({
          ...finding,
          code: `\`\`\`\n# ${finding.code}`,
          title: `<img src=x>\n## ${finding.title}`,
        }))
        const text = renderMarkdown(reportOn(hostile))
        expect(text).not.toContain('<img src=x>')
        expect([...text.matchAll(/^## /gm)].length).toBe(6)
      }),
    )
  })

  test.each([
    [100, 0, 'ready for production'],
    [89, 0, 'ready for staging'],
    [95, 1, 'not ready: work is left'],
    [60, 0, 'not ready: work is left'],
    [30, 9, 'not ready'],
  ])('a score of %i with %i critical issues is "%s"', (score, P0, verdict) => {
    expect(verdictOf({ score, counts: { P0, P1: 0, P2: 0 } })).toBe(verdict)
  })
})
