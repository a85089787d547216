import { AUDIT_KINDS } from '@hypercode/contracts'
import type { AuditFinding, AuditPriority, AuditReport } from '@hypercode/contracts'

const MAX_PLACES = 40
const MAX_SUPPRESSED = 100

const KIND_TITLES: Readonly<Record<AuditFinding['kind'], string>> = {
  secrets: 'Secrets',
  authentication: 'Authentication',
  'error-handling': 'Error handling',
  'agent-consistency': 'Agent consistency',
  'database-pooling': 'Database pooling',
  logging: 'Logging',
}

/** The report for people: summary, score, findings by priority, and what to do in which order. */
export function renderMarkdown(report: AuditReport): string {
  return [
    '# Readiness audit',
    `**Date:** ${report.generatedAt.slice(0, 10)}  \n**Repository:** \`${report.root}\`  \n**Read:** ${filesLine(report)}`,
    summary(report),
    changed(report),
    section(2, 'P0', 'Critical issues (P0, before anything else)', report),
    section(3, 'P1', 'Major improvements (P1, before production)', report),
    section(4, 'P2', 'Minor improvements (P2)', report),
    actionPlan(report),
    accepted(report),
    method(report),
  ]
    .filter((part) => part !== '')
    .join('\n\n')
    .concat('\n')
}

function filesLine({ files }: AuditReport): string {
  return `${files.total} files (${files.python} Python, ${files.typescript} TypeScript, ${files.javascript} JavaScript, ${files.other} other); ${files.skipped} left out`
}

export function verdictOf({ score, counts }: Pick<AuditReport, 'score' | 'counts'>): string {
  if (counts.P0 === 0 && score >= 90) return 'ready for production'
  if (counts.P0 === 0 && score >= 75) return 'ready for staging'
  return score >= 50 ? 'not ready: work is left' : 'not ready'
}

function summary(report: AuditReport): string {
  const { counts, kinds } = report
  const rows = AUDIT_KINDS.map((kind) => {
    const { checkedFiles, counts: own, penalty } = kinds[kind]
    return `| ${KIND_TITLES[kind]} | ${own.P0} | ${own.P1} | ${own.P2} | ${checkedFiles} | −${round(penalty)} |`
  })
  return [
    '## 1. Summary',
    `**Readiness score: ${report.score} of 100 (${verdictOf(report)})**`,
    `${sentence(counts)} ${report.suppressed.length === 0 ? '' : `${report.suppressed.length} more are accepted in the source with a reason.`}`.trim(),
    ['| Area | P0 | P1 | P2 | Files | Score |', '| --- | --- | --- | --- | --- | --- |', ...rows].join('\n'),
    `How the score is made: ${report.scoreFormula}`,
  ].join('\n\n')
}

function changed({ change, score, counts }: AuditReport): string {
  if (change === undefined) return ''
  const moved = (title: string, findings: readonly AuditFinding[]): string =>
    findings.length === 0
      ? ''
      : `${title}:\n\n${findings
          .slice(0, MAX_PLACES)
          .map(
            ({ priority, file, line, title: what }) =>
              `- ${priority} \`${file.replaceAll('`', "'")}:${line}\` ${inline(what)}`,
          )
          .join('\n')}`
  return [
    '### Before and after the patches',
    [
      '| | Score | P0 | P1 | P2 |',
      '| --- | --- | --- | --- | --- |',
      `| Before | ${change.score} | ${change.counts.P0} | ${change.counts.P1} | ${change.counts.P2} |`,
      `| After | ${score} | ${counts.P0} | ${counts.P1} | ${counts.P2} |`,
    ].join('\n'),
    moved(`Put right (${change.fixed.length})`, change.fixed),
    moved(`New (${change.introduced.length})`, change.introduced),
  ]
    .filter((part) => part !== '')
    .join('\n\n')
}

function sentence({ P0, P1, P2 }: AuditReport['counts']): string {
  if (P0 + P1 + P2 === 0) return 'Nothing was found.'
  const critical =
    P0 === 0 ? 'Nothing critical was found' : `${P0} critical ${P0 === 1 ? 'issue blocks' : 'issues block'} a release`
  return `${critical}; ${P1} should be settled before production, ${P2} some day.`
}

function section(number: number, priority: AuditPriority, title: string, report: AuditReport): string {
  const groups = groupsOf(report.findings.filter((finding) => finding.priority === priority))
  const body =
    groups.length === 0 ? ['None.'] : groups.map((group, index) => renderGroup(`${number}.${index + 1}`, group))
  return [`## ${number}. ${title}`, ...body].join('\n\n')
}

/** Findings of one rule, in the order of the areas. */
function groupsOf(findings: readonly AuditFinding[]): AuditFinding[][] {
  const groups = [...Map.groupBy(findings, ({ kind, rule }) => `${kind} ${rule}`).values()]
  return groups.toSorted(
    (a, b) => AUDIT_KINDS.indexOf(a[0]?.kind ?? 'logging') - AUDIT_KINDS.indexOf(b[0]?.kind ?? 'logging'),
  )
}

function renderGroup(number: string, group: readonly AuditFinding[]): string {
  const [first] = group
  if (first === undefined) return ''
  const isOne = group.length === 1
  const shown = group.slice(0, MAX_PLACES)
  const rest = group.length - shown.length
  return [
    `### ${number} ${KIND_TITLES[first.kind]}: ${inline(isOne ? first.title : headline(group))}`,
    ...shown.map((finding) => place(finding, !isOne)),
    ...(rest > 0 ? [`… and ${rest} more in report.json.`] : []),
    `- **Impact:** ${inline(first.impact)}\n- **Recommendation:** ${inline(first.recommendation)}`,
  ].join('\n\n')
}

function headline(group: readonly AuditFinding[]): string {
  const titles = new Set(group.map(({ title }) => title))
  const [only] = titles
  return titles.size === 1 && only !== undefined
    ? `${only} (${group.length} times)`
    : `${group[0]?.rule.replaceAll('-', ' ') ?? ''} (${group.length} times)`
}

function place(finding: AuditFinding, withTitle: boolean): string {
  const lines = finding.endLine === finding.line ? `${finding.line}` : `${finding.line}-${finding.endLine}`
  const title = withTitle ? ` ${inline(finding.title)}` : ''
  const where = `- \`${finding.file.replaceAll('`', "'")}:${lines}\` (${finding.confidence} confidence)${title}`
  const fence = '`'.repeat(Math.max(3, longestRun(finding.code) + 1))
  const code = finding.code
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n')
  return `${where}\n\n  ${fence}${languageOf(finding.file)}\n${code}\n  ${fence}`
}

function longestRun(text: string): number {
  return Math.max(0, ...[...text.matchAll(/`+/g)].map(([run]) => run.length))
}

function languageOf(file: string): string {
  const extension = file.slice(file.lastIndexOf('.') + 1)
  return (
    {
      py: 'python',
      ts: 'ts',
      mts: 'ts',
      cts: 'ts',
      tsx: 'tsx',
      js: 'js',
      mjs: 'js',
      cjs: 'js',
      jsx: 'jsx',
      json: 'json',
      yaml: 'yaml',
      yml: 'yaml',
      toml: 'toml',
    }[extension] ?? ''
  )
}

function actionPlan({ findings }: AuditReport): string {
  if (findings.length === 0) return '## 5. Action plan\n\nNothing to do.'
  const groups = groupsOf(findings).toSorted((a, b) => rank(a) - rank(b))
  const rows = groups.map((group) => {
    const [first] = group
    if (first === undefined) return ''
    const files = new Set(group.map(({ file }) => file))
    return `| **${first.priority}** | ${cell(KIND_TITLES[first.kind])}: ${cell(first.recommendation)} | ${group.length} in ${files.size} ${files.size === 1 ? 'file' : 'files'} | ${effort(group.length, files.size)} |`
  })
  return [
    '## 5. Action plan',
    ['| Priority | What to do | Places | Effort |', '| --- | --- | --- | --- |', ...rows].join('\n'),
  ].join('\n\n')
}

/** The most urgent place of a group decides where the group stands; many places come before few. */
function rank(group: readonly AuditFinding[]): number {
  const priorities = group.map(({ priority }) => ['P0', 'P1', 'P2'].indexOf(priority))
  return Math.min(...priorities) * 100_000 - Math.min(group.length, 9_999)
}

function effort(places: number, files: number): string {
  if (places <= 5 && files <= 3) return 'Low'
  return places <= 30 ? 'Medium' : 'High'
}

function accepted({ suppressed }: AuditReport): string {
  if (suppressed.length === 0) return ''
  const rows = suppressed
    .slice(0, MAX_SUPPRESSED)
    .map(
      (finding) =>
        `| ${finding.priority} | \`${finding.file}:${finding.line}\` | ${cell(finding.title)} | ${cell(finding.reason)} |`,
    )
  return [
    '## 6. Accepted in the source',
    ['| Priority | Place | Finding | Reason |', '| --- | --- | --- | --- |', ...rows].join('\n'),
  ].join('\n\n')
}

function method({ skippedBy, omitted, durationMs }: AuditReport): string {
  const skipped = Object.entries(skippedBy).map(([reason, count]) => `${reason}: ${count}`)
  return [
    '## Notes',
    [
      `- The findings come from the syntax trees of the sources and took ${Math.round(durationMs)} ms; nothing was run and nothing left this machine.`,
      `- Left out: ${skipped.length === 0 ? 'nothing' : skipped.join(', ')}.`,
      ...(omitted > 0 ? [`- ${omitted} further findings count towards the score and had no room here.`] : []),
      '- To accept a finding, write `hypercode-audit-ignore: <reason>` in a comment on its line or on the line above.',
    ].join('\n'),
  ].join('\n\n')
}

/** Text of the audited repository stays text: no markup, no line breaks. */
function inline(text: string): string {
  return text.replaceAll(/\s+/g, ' ').replaceAll(/[<>*_[\]`|\\#]/g, (char) => `\\${char}`)
}

function cell(text: string): string {
  return inline(text)
}

function round(value: number): string {
  return String(Math.round(value * 10) / 10)
}
