import { expect, test } from 'vitest'
import { auditRepository } from '../src/audit/index.ts'
import { describeFinding, withRepository } from './support/repository.ts'
import { HYPERCODE_V2 } from './support/hypercode-v2.ts'

// Goal: everything that people found in HyperCode V2.0 is found again, and nothing else.
// Method: a miniature of that repository, whole report compared.
test('the audit of HyperCode V2.0 comes out as people wrote it', async () => {
  await withRepository(HYPERCODE_V2, async (root) => {
    const report = await auditRepository(root)
    expect(report.findings.map((finding) => `${finding.kind}: ${describeFinding(finding)}`)).toEqual([
      'secrets: default-secret P0 high hypercode-core/app/core/config.py:11',
      'secrets: default-secret P0 high hypercode-core/app/core/config.py:12',
      'authentication: endpoint-without-authentication P0 high hypercode-core/app/routers/agents.py:16-17',
      'authentication: endpoint-without-authentication P0 high hypercode-core/app/routers/agents.py:21-22',
      'authentication: endpoint-without-authentication P0 high hypercode-core/app/routers/agents.py:28-29',
      'error-handling: swallowed-exception P0 high hypercode-core/main.py:16-17',
      'error-handling: swallowed-exception P0 high hypercode-core/main.py:25-26',
      'agent-consistency: agent-with-own-runtime P1 high agents/coder-agent/main.py:14',
      'database-pooling: pool-without-limit P1 high hypercode-core/main.py:31',
      'logging: plain-text-logging P1 high agents/coder-agent/main.py:5',
      'logging: unstructured-logging P1 medium hypercode-core/main.py:33',
    ])
    expect(report.findings.find(({ kind }) => kind === 'authentication')?.title).toBe(
      'POST /agents/register has no authentication',
    )
    expect(report.findings.find(({ line, kind }) => kind === 'secrets' && line === 11)?.code).toBe(
      'JWT_SECRET: str = "changethis"',
    )
    expect(report.counts).toEqual({ P0: 7, P1: 4, P2: 0 })
    expect(report.score).toBeGreaterThanOrEqual(60)
    expect(report.score).toBeLessThanOrEqual(80)
    expect(report.skippedBy).toEqual({ 'not source or configuration': 1 })
  })
})
