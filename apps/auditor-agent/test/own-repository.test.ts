import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { auditRepository } from '../src/audit/index.ts'
import { describeFinding } from './support/repository.ts'

// Goal: what the auditor asks of others holds for the repository that it lives in.
test('this repository has no critical finding', { timeout: 120_000 }, async () => {
  const root = fileURLToPath(new URL('../../..', import.meta.url))
  expect(existsSync(`${root}/pnpm-workspace.yaml`)).toBe(true)
  const report = await auditRepository(root)
  expect(report.findings.filter(({ priority }) => priority === 'P0').map(describeFinding)).toEqual([])
  expect(report.files.typescript).toBeGreaterThan(100)
  expect(report.skippedBy).not.toHaveProperty('not analysable')
})
