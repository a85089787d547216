import { describe, expect, test } from 'vitest'
import { auditRepository } from '../src/audit/index.ts'
import type { AuditReport } from '@hypercode/contracts'
import { describeFinding, withRepository } from './support/repository.ts'
import type { Files } from './support/repository.ts'

const audit = async (files: Files): Promise<AuditReport> =>
  await withRepository(files, async (root) => await auditRepository(root))

const SWALLOW = 'try:\n    work()\nexcept Exception:'

interface Row {
  readonly name: string
  readonly files: Files
  readonly found: readonly string[]
  readonly reasons: readonly string[]
}

const ROWS: readonly Row[] = [
  {
    name: 'on the line of the finding',
    files: { 'a.py': `${SWALLOW}  # hypercode-audit-ignore: shutting down\n    pass\n` },
    found: [],
    reasons: ['shutting down'],
  },
  {
    name: 'on the line above',
    files: { 'a.py': 'JWT_SECRET = read()\n# hypercode-audit-ignore: public by design\nAPI_KEY = "changeme"\n' },
    found: [],
    reasons: ['public by design'],
  },
  {
    name: 'inside of the code that is reported',
    files: { 'a.ts': 'try {\n  await beat()\n} catch {\n  // hypercode-audit-ignore: the next beat tells\n}\n' },
    found: [],
    reasons: ['the next beat tells'],
  },
  {
    name: 'for one kind',
    files: { 'a.ts': '// hypercode-audit-ignore[error-handling]: the next beat tells\nawait beat().catch(() => {})\n' },
    found: [],
    reasons: ['the next beat tells'],
  },
  {
    name: 'for several kinds, in a block comment',
    files: { 'a.ts': '/* hypercode-audit-ignore[secrets, error-handling]: known */\nawait beat().catch(() => {})\n' },
    found: [],
    reasons: ['known'],
  },
  {
    name: 'in YAML, an env file and TOML',
    files: {
      'a.yaml': 'password: changeme # hypercode-audit-ignore: local only\n',
      '.env': '# hypercode-audit-ignore: made by the installer\nAPI_KEY=x9\n',
      'a.toml': '# hypercode-audit-ignore: local only\nsecret_key = "changeme"\n',
    },
    found: [],
    reasons: ['local only', 'local only', 'made by the installer'],
  },

  {
    name: 'not two lines above',
    files: { 'a.py': '# hypercode-audit-ignore: too far away\n\nAPI_KEY = "changeme"\n' },
    found: ['default-secret P0 high a.py:3'],
    reasons: [],
  },
  {
    name: 'not for another kind',
    files: { 'a.py': 'API_KEY = "changeme"  # hypercode-audit-ignore[logging]: no\n' },
    found: ['default-secret P0 high a.py:1'],
    reasons: [],
  },
  {
    name: 'not in a string',
    files: { 'a.py': 'x = "# hypercode-audit-ignore: no comment"\nAPI_KEY = "changeme"\n' },
    found: ['default-secret P0 high a.py:2'],
    reasons: [],
  },
  {
    name: 'not without a reason, which is a finding of its own',
    files: { 'a.py': 'API_KEY = "changeme"  # hypercode-audit-ignore\n' },
    found: ['default-secret P0 high a.py:1', 'suppression-without-reason P2 high a.py:1'],
    reasons: [],
  },
  {
    name: 'not with an empty reason',
    files: { 'a.ts': '// hypercode-audit-ignore[error-handling]:  \nawait beat().catch(() => {})\n' },
    found: ['swallowed-rejection P0 high a.ts:2', 'suppression-without-reason P2 high a.ts:1'],
    reasons: [],
  },
  {
    name: 'not for a kind that nobody knows',
    files: { 'a.ts': '// hypercode-audit-ignore[everything]: please\nawait beat().catch(() => {})\n' },
    found: ['swallowed-rejection P0 high a.ts:2', 'suppression-without-reason P2 high a.ts:1'],
    reasons: [],
  },
  {
    name: 'a comment without a finding needs a reason too',
    files: { 'a.py': '# hypercode-audit-ignore\nx = 1\n' },
    found: ['suppression-without-reason P2 high a.py:1'],
    reasons: [],
  },
]

describe('suppression', () => {
  test.each(ROWS)('$name', async ({ files, found, reasons }) => {
    const report = await audit(files)
    expect(report.findings.map(describeFinding)).toEqual(found)
    expect(report.suppressed.map(({ reason }) => reason).toSorted()).toEqual(reasons)
  })

  test('a finding without a reason for its comment goes to the kind that it would have silenced', async () => {
    const { findings } = await audit({ 'a.py': 'API_KEY = "changeme"  # hypercode-audit-ignore\n' })
    expect(findings.map(({ kind }) => kind)).toEqual(['secrets', 'secrets'])
  })

  test('what is accepted does not count, and is listed', async () => {
    const report = await audit({ 'a.py': 'API_KEY = "changeme"  # hypercode-audit-ignore: fine\n' })
    expect(report).toMatchObject({ score: 100, counts: { P0: 0, P1: 0, P2: 0 } })
    expect(report.kinds.secrets.suppressed).toBe(1)
    expect(report.suppressed[0]).toMatchObject({ rule: 'default-secret', reason: 'fine' })
  })
})
