import type { AuditConfidence, AuditPriority } from '@hypercode/contracts'
import type { InventoryFile } from '../inventory/inventory.ts'
import type { Rule } from '../rule.ts'
import type { Candidate } from './candidate.ts'
import { secrecyOf } from './names.ts'
import type { Secrecy } from './names.ts'
import { DEFAULT_SECRET, HARDCODED_SECRET, URL_CREDENTIALS } from './rules.ts'
import { urlCredentials } from './urls.ts'
import { classify, headerSecret, isGeneric, isNameAgain } from './values.ts'
import type { ValueClass } from './values.ts'

export interface Verdict {
  readonly rule: Rule
  readonly title: string
  readonly priority: AuditPriority
  readonly confidence: AuditConfidence
  /** Parts of the line that must not be printed. */
  readonly mask: readonly string[]
}

/** Whether a literal where a secret belongs is a finding, and how bad. */
export function judgeCandidate(candidate: Candidate, file: InventoryFile): Verdict | undefined {
  return ofUrl(candidate, file) ?? ofHeader(candidate) ?? ofValue(candidate, file)
}

function ofHeader({ name, value }: Candidate): Verdict | undefined {
  const secret = headerSecret(name, value)
  if (secret === undefined) return undefined
  return {
    rule: HARDCODED_SECRET,
    title: 'An Authorization header is written into the source',
    priority: 'P0',
    confidence: 'high',
    mask: [secret],
  }
}

function ofUrl({ value, where }: Candidate, file: InventoryFile): Verdict | undefined {
  const credentials = value.includes('://') ? urlCredentials(value) : undefined
  if (credentials === undefined) return undefined
  const { password, isGuessable, isLocal } = credentials
  const base = { rule: URL_CREDENTIALS, title: URL_CREDENTIALS.title, mask: isGuessable ? [] : [password] }
  if (!isGuessable && !isLocal) return { ...base, priority: 'P0', confidence: 'high' }
  if (isDevelopmentSetup(file) && where !== 'env-default') return { ...base, priority: 'P2', confidence: 'medium' }
  return { ...base, priority: 'P1', confidence: 'medium' }
}

function ofValue(candidate: Candidate, file: InventoryFile): Verdict | undefined {
  const { name, value, where } = candidate
  const secrecy = where === 'crypto' ? 'certain' : secrecyOf(name)
  if (secrecy === undefined || (secrecy === 'likely' && isLooseKey(candidate))) return undefined
  const kind = where === 'crypto' && classify(value) === 'reference' && value.length > 3 ? 'word' : classify(value)
  if (kind === 'reference' || (kind === 'word' && value.length < 4)) return undefined
  const isLoose = where === 'assignment' || where === 'property' || where === 'argument' || where === 'parameter'
  if (isLoose && isNameAgain(name, value)) return undefined
  const seen = isLoose && kind === 'placeholder' && isGeneric(value) ? 'word' : kind
  const grade = gradeOf(seen, candidate, secrecy, file)
  if (grade === undefined) return undefined
  const [priority, confidence] = grade
  const isDefault =
    kind !== 'random' &&
    (where === 'env-default' || where === 'settings' || where === 'parameter' || kind === 'placeholder')
  const rule = isDefault ? DEFAULT_SECRET : HARDCODED_SECRET
  return {
    rule,
    title: isDefault
      ? `${titleName(name)} has a ${kind === 'placeholder' ? 'placeholder' : 'value'} in the source`
      : `${titleName(name)} is written into the source`,
    priority,
    confidence,
    mask: kind === 'placeholder' ? [] : [value],
  }
}

/** A plain `KEY` is a secret when it comes from the environment; anywhere else it may be any key. */
function isLooseKey({ name, where }: Candidate): boolean {
  return /^key$/i.test(name) && where !== 'env-default'
}

function titleName(name: string): string {
  return name.length > 60 ? `${name.slice(0, 60)}…` : name
}

type Grade = readonly [AuditPriority, AuditConfidence]

function gradeOf(
  kind: ValueClass,
  { where, value, name }: Candidate,
  secrecy: Secrecy,
  file: InventoryFile,
): Grade | undefined {
  const isWeakName = secrecy === 'likely'
  if (kind === 'random') return isWeakName ? ['P0', 'medium'] : ['P0', 'high']
  switch (where) {
    case 'env-default':
    case 'settings':
    case 'crypto':
      if (isDevelopmentSetup(file)) return ['P1', 'medium']
      return kind === 'placeholder' && !isWeakName ? ['P0', 'high'] : ['P0', 'medium']
    case 'config':
      if (isWeakName && kind === 'word') return undefined
      if (isDevelopmentSetup(file)) return kind === 'placeholder' ? ['P1', 'medium'] : ['P1', 'low']
      if (/^[A-Z][a-z]+$/.test(value) && /^[a-z]/.test(name)) return undefined
      return kind === 'placeholder' ? ['P0', 'medium'] : ['P1', isSpoken(value) ? 'low' : 'medium']
    case 'assignment':
      if (isWeakName) return undefined
      return kind === 'placeholder' ? ['P0', 'high'] : ['P1', isSpoken(value) ? 'low' : 'medium']
    case 'parameter':
      if (isWeakName) return undefined
      return kind === 'placeholder' ? ['P0', 'medium'] : ['P1', 'medium']
    case 'argument':
    case 'property':
      if (isWeakName) return undefined
      if (kind === 'word' && isSpoken(value)) return undefined
      return kind === 'placeholder' ? ['P0', 'medium'] : ['P1', 'low']
    default:
      return undefined
  }
}

/** Nothing but letters: as likely a name for something as a password. */
function isSpoken(value: string): boolean {
  return /^[A-Za-z_. -]+$/.test(value)
}

/** compose files and development overlays set up a laptop; their passwords are poor habits rather than open doors. */
function isDevelopmentSetup({ path }: InventoryFile): boolean {
  return (
    /(^|\/)(docker-)?compose[\w.-]*\.ya?ml$|(^|\/)\.devcontainer\/|[._-](dev|development|local)(\.[\w-]+)*\.[a-z]+$/i.test(
      path,
    ) && !/prod/i.test(path)
  )
}
