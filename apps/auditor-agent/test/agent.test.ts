import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { AUDIT_KINDS, CrewManifest } from '@hypercode/contracts'
import type { AuditReport } from '@hypercode/contracts'
import { TerminalError } from '@hypercode/base-agent'
import { runTask } from '@hypercode/base-agent/testing'
import { Value } from '@sinclair/typebox/value'
import { afterEach, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { auditor } from '../src/agent.ts'
import { auditRepository } from '../src/audit/index.ts'
import { HYPERCODE_V2 } from './support/hypercode-v2.ts'
import { faultsOf, withRepository } from './support/repository.ts'

type Stored = { taskKey: string; name: string; data: Uint8Array }

/** Runs a task of the mission on what the tasks before it have stored, and adds what it stores. */
async function runIn(mission: Stored[], key: string, skill: string, input: { root?: string; before?: string }) {
  const run = await runTask(auditor, input, { skill, artifacts: mission })
  for (const [name, artifact] of run.artifacts) mission.push({ taskKey: key, name, data: artifact.bytes })
  return run
}

describe('the crew', () => {
  const crewOf = async (name: string): Promise<CrewManifest['spec']> => {
    const text = await readFile(new URL(`../crews/${name}.yaml`, import.meta.url), 'utf8')
    const manifest: unknown = parse(text)
    expect([...Value.Errors(CrewManifest, manifest)]).toEqual([])
    return (manifest as CrewManifest).spec
  }
  const skills = auditor.card.skills.map(({ id }) => id)

  test('is a manifest that the contract accepts, and asks for skills that the agent has', async () => {
    const spec = await crewOf('readiness-audit')
    const asked = spec.members.map(({ skill }) => skill)
    expect(asked.toSorted()).toEqual(skills.filter((skill) => skill !== 'audit.patched').toSorted())
    expect(spec.tasks.map(({ id }) => id)).toEqual(['inventory', ...AUDIT_KINDS, 'report'])
    expect(spec.tasks.at(-1)?.dependsOn).toEqual([...AUDIT_KINDS])
  })

  test('that fixes audits in the same way, before and after the patches', async () => {
    const [audit, fix] = [await crewOf('readiness-audit'), await crewOf('audit-and-fix')]
    expect(fix.tasks.slice(0, audit.tasks.length)).toEqual(audit.tasks)
    const rest = fix.tasks.slice(audit.tasks.length)
    const again = audit.tasks.map(({ id }) => `${id}-after`)
    expect(rest.map(({ id }) => id)).toEqual(['fix', 'review', 'merge', 'patched', ...again])
    for (const { id, member } of rest.slice(4)) {
      expect([id, member]).toEqual([id, audit.tasks.find((task) => `${task.id}-after` === id)?.member])
    }
    expect(fix.members.map(({ skill }) => skill).toSorted()).toEqual(
      [...skills, 'code.edit', 'code.merge', 'code.review'].toSorted(),
    )
  })

  // Goal: the tasks of a mission, each on its own, give the report that one process gives.
  // Method: every task of the crew by itself, with only artifacts in between.
  test('gives the same report as one process', async () => {
    await withRepository(HYPERCODE_V2, async (root) => {
      const mission: Stored[] = []
      const inventory = await runIn(mission, 'inventory', 'audit.inventory', { root })
      expect(inventory.output).toEqual({ files: 22, skipped: 1, artifact: 'inventory.json' })
      for (const kind of AUDIT_KINDS) {
        const { output } = await runIn(mission, kind, `audit.${kind}`, { root })
        expect(output).toMatchObject({ kind, artifact: 'findings.json', suppressed: 0 })
      }
      const { output } = await runIn(mission, 'report', 'audit.report', {})
      const stored = mission.find(({ name }) => name === 'report.json')
      const report = JSON.parse(Buffer.from(stored?.data ?? []).toString('utf8')) as AuditReport
      expect(faultsOf(report)).toEqual([])
      const whole = await auditRepository(root)
      expect(report.findings).toEqual(whole.findings)
      expect(report).toMatchObject({ score: whole.score, counts: whole.counts, files: whole.files, root })
      expect(output).toEqual({
        score: whole.score,
        counts: whole.counts,
        urgent: whole.findings.filter(({ priority }) => priority !== 'P2').map(({ code: _, ...finding }) => finding),
        reportArtifact: 'report.json',
        markdownArtifact: 'report.md',
      })
      expect(report.change).toBeUndefined()
      const markdown = mission.find(({ name }) => name === 'report.md')
      expect(Buffer.from(markdown?.data ?? []).toString('utf8')).toContain('# Readiness audit')
    })
  })
})

// Goal: whoever wants only the report needs one task. Method: beside nothing, and beside the inventory of another repository.
test('a report of what nobody has audited audits it itself', async () => {
  await withRepository(HYPERCODE_V2, async (root) => {
    const whole = await auditRepository(root)
    await withRepository({ 'a.py': 'import os\n' }, async (other) => {
      const mission: Stored[] = []
      await runIn(mission, 'inventory', 'audit.inventory', { root: other })
      for (const before of [[], mission]) {
        const { output, artifacts } = await runTask(auditor, { root }, { skill: 'audit.report', artifacts: before })
        expect(output).toMatchObject({ score: whole.score, counts: whole.counts })
        const report = artifacts.get('report.json')?.bytes.toString('utf8') ?? '{}'
        expect(JSON.parse(report)).toMatchObject({ root, findings: whole.findings })
      }
    })
  })
})

describe('a second report of a mission', () => {
  // Goal: one mission audits a repository and a patched copy of it, and says what the patch did. Method: both audits in one mission, every
  // finding of one file put right and one made anew.
  test('keeps the two repositories apart and tells before and after', async () => {
    await withRepository({ 'a.py': 'API_KEY = "changeme"\n', 'b.py': 'JWT_SECRET = "changethis"\n' }, async (root) => {
      await withRepository(
        { 'a.py': 'import os\n', 'b.py': '\n\nJWT_SECRET = "changethis"\n', 'c.py': 'API_KEY = "changeme"\n' },
        async (patched) => {
          const mission: Stored[] = []
          for (const [suffix, where] of [
            ['', root],
            ['-after', patched],
          ] as const) {
            await runIn(mission, `inventory${suffix}`, 'audit.inventory', { root: where })
            for (const kind of AUDIT_KINDS) await runIn(mission, `${kind}${suffix}`, `audit.${kind}`, { root: where })
          }
          const first = await runIn(mission, 'report', 'audit.report', { root })
          expect(first.output).toMatchObject({ counts: { P0: 2 }, urgent: [{ file: 'a.py' }, { file: 'b.py' }] })
          await runIn(mission, 'report-after', 'audit.report', { root: patched, before: 'report' })
          const stored = mission.findLast(({ name }) => name === 'report.json')
          const report = JSON.parse(Buffer.from(stored?.data ?? []).toString('utf8')) as AuditReport
          expect(faultsOf(report)).toEqual([])
          expect(report).toMatchObject({ root: patched, counts: { P0: 2 }, change: { root, counts: { P0: 2 } } })
          expect(report.change?.fixed.map(({ file }) => file)).toEqual(['a.py'])
          expect(report.change?.introduced.map(({ file }) => file)).toEqual(['c.py'])
          const markdown = mission.findLast(({ name }) => name === 'report.md')
          expect(Buffer.from(markdown?.data ?? []).toString('utf8')).toContain('| Before | ')
        },
      )
    })
  })
})

describe('a patched copy', () => {
  const PATCH = [
    'diff --git a/a.py b/a.py',
    '--- a/a.py',
    '+++ b/a.py',
    '@@ -1 +1 @@',
    '-API_KEY = "changeme"',
    '+API_KEY = os.environ["API_KEY"]',
    '',
  ].join('\n')
  const stored = (data: string): Stored => ({ taskKey: 'merge', name: 'patch.diff', data: Buffer.from(data) })
  const copied: string[] = []
  afterEach(async () => {
    for (const copy of copied.splice(0)) await rm(copy, { recursive: true })
  })

  test('holds what is audited, with the patch, and leaves the repository alone', async () => {
    await withRepository({ 'a.py': 'API_KEY = "changeme"\n', 'b.py': 'import os\n' }, async (root) => {
      const { output } = await runTask(
        auditor,
        { root, patchFrom: 'merge' },
        { skill: 'audit.patched', artifacts: [stored(PATCH)] },
      )
      const copy = (output as { root: string }).root
      copied.push(copy)
      expect(output).toEqual({ root: copy, files: 2 })
      expect(await readFile(join(copy, 'a.py'), 'utf8')).toBe('API_KEY = os.environ["API_KEY"]\n')
      expect(await readFile(join(copy, 'b.py'), 'utf8')).toBe('import os\n')
      expect(await readFile(join(root, 'a.py'), 'utf8')).toBe('API_KEY = "changeme"\n')
    })
  })

  test('of nothing new is the repository as it is; a patch that does not fit, or leads out, fails for good', async () => {
    await withRepository({ 'a.py': 'other\n' }, async (root) => {
      const run = async (patch: string) =>
        await runTask(auditor, { root, patchFrom: 'merge' }, { skill: 'audit.patched', artifacts: [stored(patch)] })
      copied.push(((await run('')).output as { root: string }).root)
      await expect(run(PATCH)).rejects.toMatchObject({ code: 'patch_invalid' })
      await expect(run(PATCH.replaceAll('a.py', '../a.py'))).rejects.toMatchObject({ code: 'patch_invalid' })
    })
    const none = runTask(auditor, { root: '/tmp' }, { skill: 'audit.patched' })
    await expect(none).rejects.toMatchObject({ code: 'patch_missing' })
  })
})

describe('a task', () => {
  test('of one kind takes the inventory itself when nobody has', async () => {
    await withRepository({ 'a.py': 'API_KEY = "changeme"\n' }, async (root) => {
      const { output } = await runTask(auditor, { root }, { skill: 'audit.secrets' })
      expect(output).toMatchObject({ kind: 'secrets', checkedFiles: 1, counts: { P0: 1, P1: 0, P2: 0 } })
    })
  })

  test('does not trust the inventory of another root', async () => {
    await withRepository({ 'a.py': 'API_KEY = "changeme"\n' }, async (root) => {
      const other = JSON.stringify({
        root: '/elsewhere',
        files: [],
        skippedBy: {},
        packages: [],
        markers: [],
        durationMs: 0,
      })
      const artifacts = [{ taskKey: 'inventory', name: 'inventory.json', data: other }]
      const { output } = await runTask(auditor, { root }, { skill: 'audit.secrets', artifacts })
      expect(output).toMatchObject({ checkedFiles: 1 })
    })
  })

  test.each([
    ['a root that is missing', { root: '/nowhere/at/all' }, 'root_unreadable'],
    ['a root that is not absolute', { root: 'packages' }, 'root_invalid'],
    ['no root', {}, 'root_missing'],
  ])('with %s fails for good', async (_, input, code) => {
    const failing = runTask(auditor, input, { skill: 'audit.inventory' })
    await expect(failing).rejects.toBeInstanceOf(TerminalError)
    await expect(failing).rejects.toMatchObject({ code })
  })

  test('that reports on nothing fails for good', async () => {
    await expect(runTask(auditor, {}, { skill: 'audit.report' })).rejects.toBeInstanceOf(TerminalError)
  })

  test('stops when it is told to, and says how far it is', async () => {
    const files = Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`d${n % 20}/a${n}.py`, 'x = 1\n']))
    await withRepository(files, async (root) => {
      const { progress } = await runTask(auditor, { root }, { skill: 'audit.inventory' })
      expect(progress.length).toBeGreaterThan(0)
      expect(progress.every(({ fraction }) => fraction >= 0 && fraction <= 1)).toBe(true)
      const stopped = runTask(auditor, { root }, { skill: 'audit.inventory', signal: AbortSignal.abort() })
      await expect(stopped).rejects.toMatchObject({ reason: 'canceled' })
    })
  })
})
