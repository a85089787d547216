import type { AuditFinding } from '@hypercode/contracts'
import type { Audit } from '../audit.ts'
import type { InventoryFile } from '../inventory/inventory.ts'
import { isScript } from '../inventory/languages.ts'
import { finding, priorityIn } from '../rule.ts'
import type { Lines, SourceFile } from '../source/source-file.ts'
import type { Candidate } from './candidate.ts'
import { configCandidates } from './config-secrets.ts'
import { envSecrets } from './env-file.ts'
import { judgeCandidate } from './judge-candidate.ts'
import { pythonCandidates, pythonStrings } from './python-secrets.ts'
import { COMMITTED_ENV, HARDCODED_SECRET, PRIVATE_KEY, URL_CREDENTIALS, VENDOR_KEY } from './rules.ts'
import { scriptCandidates, scriptStrings } from './script-secrets.ts'
import { classify } from './values.ts'
import { vendorKeys } from './vendor-keys.ts'

const MAX_PER_FILE = 100

/** Where placeholders are the point: tests, examples, documents, pipelines that set up throw-away servers. */
const WITHOUT_PLACEHOLDERS = new Set(['test', 'example', 'docs', 'ci', 'migration', 'browser'])

/** Finds secrets that the repository gives away: defaults, placeholders, keys of vendors, private keys, env files. */
export function secretsAudit(): Audit {
  const findings: AuditFinding[] = []
  return {
    kind: 'secrets',
    wants: () => true,
    async visit(file) {
      const live = await ofVendors(file)
      const others = file.entry.language === 'env' ? ofEnvFile(file) : ofCandidates(file)
      findings.push(...onePerLine([...live, ...others]).slice(0, MAX_PER_FILE))
    },
    finish: () => findings,
  }
}

async function ofVendors(file: SourceFile): Promise<AuditFinding[]> {
  const keys = await vendorKeys(file.path, file.text)
  if (keys.length === 0) return []
  const lineAt = lineIndex(file.text)
  return keys.flatMap(({ start, end, value, title, isPrivateKey }) => {
    const place = { line: lineAt(start), endLine: lineAt(Math.max(start, end - 1)), title, mask: [value] }
    const { role } = file.entry
    if (isPrivateKey) {
      const weight = role === 'test' || role === 'example' ? ({ priority: 'P2', confidence: 'low' } as const) : {}
      return [finding(PRIVATE_KEY, file, { ...place, ...weight })]
    }
    if (role === 'source' || role === 'build' || role === 'script') return [finding(VENDOR_KEY, file, place)]
    // Keys for browsers (maps, Firebase) are made to be seen.
    if (role === 'browser' && value.startsWith('AIza')) return []
    const priority = role === 'test' ? 'P2' : 'P1'
    return [finding(VENDOR_KEY, file, { ...place, priority, confidence: 'medium' })]
  })
}

function ofCandidates(file: SourceFile): AuditFinding[] {
  const { role, language } = file.entry
  const urls = language === 'python' ? pythonStrings(file) : isScript(language) ? scriptStrings(file) : []
  return [...candidatesOf(file), ...urls].flatMap((candidate) => {
    const verdict = judgeCandidate(candidate, file.entry)
    if (verdict === undefined) return []
    const isLive = verdict.rule === HARDCODED_SECRET && classify(candidate.value) === 'random'
    if (WITHOUT_PLACEHOLDERS.has(role) && !(isLive && role === 'browser')) return []
    const priority = isLive || verdict.rule === URL_CREDENTIALS ? verdict.priority : priorityIn(role, verdict.priority)
    return [finding(verdict.rule, file, { ...verdict, line: candidate.line, endLine: candidate.endLine, priority })]
  })
}

function candidatesOf(file: SourceFile): Candidate[] {
  if (file.entry.language === 'python') return pythonCandidates(file)
  return isScript(file.entry.language) ? scriptCandidates(file) : configCandidates(file)
}

/** One finding for the file, at its first secret: the file as a whole does not belong there. */
function ofEnvFile(file: SourceFile): AuditFinding[] {
  if (isTemplate(file.entry)) return []
  const secrets = envSecrets(file)
  const [first] = secrets
  if (first === undefined) return []
  const isHarmless =
    file.entry.role === 'test' || file.entry.role === 'ci' || /\.(test|ci|dev|development|local)$/.test(file.path)
  const names = secrets.map(({ name }) => name)
  const listed = names.length > 5 ? `${names.slice(0, 5).join(', ')} and ${names.length - 5} more` : names.join(', ')
  return [
    finding(COMMITTED_ENV, file, {
      line: first.line,
      endLine: first.line,
      title: `${file.path} is part of the repository and sets ${listed}`,
      mask: classify(first.value) === 'placeholder' ? [] : [first.value],
      ...(isHarmless && ({ priority: 'P1', confidence: 'medium' } as const)),
    }),
  ]
}

function isTemplate({ role, path }: InventoryFile): boolean {
  return (
    role === 'example' ||
    role === 'docs' ||
    /(^|\/)(env|\.env)[._-](example|sample|template|dist|defaults?|tpl)$/i.test(path)
  )
}

/** A line that is found in two ways is reported once, in the way that comes first: vendor keys before guesses. */
function onePerLine(findings: readonly AuditFinding[]): AuditFinding[] {
  const lines = new Map<number, AuditFinding>()
  for (const found of findings) {
    const known = lines.get(found.line)
    const isWorse = known !== undefined && known.rule !== 'vendor-key' && weightOf(found) > weightOf(known)
    if (known === undefined || isWorse) lines.set(found.line, found)
  }
  return [...lines.values()].sort((a, b) => a.line - b.line)
}

function weightOf({ priority, confidence }: AuditFinding): number {
  return { P0: 20, P1: 10, P2: 0 }[priority] + { high: 2, medium: 1, low: 0 }[confidence]
}

function lineIndex(text: string): (offset: number) => Lines['line'] {
  const starts = [0]
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return (offset) => {
    let low = 0
    let high = starts.length - 1
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if ((starts[middle] ?? 0) <= offset) low = middle
      else high = middle - 1
    }
    return low + 1
  }
}
