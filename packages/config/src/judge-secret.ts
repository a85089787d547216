import type { SecretKind } from './kinds.ts'
import { privateKeyFault, publicKeyFault } from './pem-key.ts'
import { entropyPerChar, periodOf, unpredictableLength } from './predictability.ts'
import type { SecretFault, SecretFaultCode } from './secret-fault.ts'
import { isStandIn } from './stand-ins.ts'
import { passwordOf, urlFault, userOf } from './url-secret.ts'

/**
 * All reasons to refuse `value` as a secret of this kind, none when it is good. Pure: it reads nothing but its
 * arguments, and no text it returns holds any part of the value.
 */
export function judgeSecret(value: string, kind: SecretKind): readonly SecretFault[] {
  if (value.trim() === '') return [fault('empty', 'is empty', kind)]
  const form = judgeForm(value, kind)
  if (kind === 'private-key' || kind === 'public-key') {
    if (isStandIn(value)) return [...form, fault('stand-in', STAND_IN, kind)]
    const broken = kind === 'private-key' ? privateKeyFault(value) : publicKeyFault(value)
    return broken === undefined ? form : [...form, fault(broken.code, broken.problem, kind)]
  }
  if (kind === 'postgres-url' || kind === 'redis-url') {
    const broken = urlFault(value, kind)
    if (broken !== undefined) return [...form, fault('not-a-url', broken, kind)]
    const password = passwordOf(value) ?? ''
    if (password.trim() === '') return [...form, fault('empty', 'holds no password', kind)]
    const isUserName = password.toLowerCase() === userOf(value).toLowerCase()
    if (isUserName) form.push(fault('stand-in', 'has its user name as its password', kind))
    return [...form, ...judgeForm(password, kind), ...judgeText(password, kind)]
  }
  return [...form, ...judgeText(value, kind)]
}

/** How to get a good value of a kind. */
export const FIX: Readonly<Record<SecretKind, string>> = {
  general: 'set it to the output of: openssl rand -base64 48',
  jwt: 'set it to the output of: openssl rand -base64 48',
  'private-key': 'make a key with: openssl genpkey -algorithm ed25519, and mount it as a file named by NAME_FILE',
  'public-key': 'write it with: openssl pkey -in PRIVATE_KEY_FILE -pubout, and mount it as a file named by NAME_FILE',
  'api-key': 'set the key exactly as its vendor issued it, or leave the variable out',
  'postgres-url': 'use postgres://USER:PW@HOST:5432/DB, with the output of openssl rand -hex 24 as PW',
  'redis-url': 'use redis://:PW@HOST:6379/0 (rediss:// for TLS), with the output of openssl rand -hex 24 as PW',
}

const STAND_IN = 'is a well-known stand-in, not a real value'

/** The longest shared secret that is taken; what is longer is a file of another kind. */
const MAX_LENGTH = 4_096

type TextKind = Exclude<SecretKind, 'private-key' | 'public-key'>

const MIN_LENGTH: Readonly<Record<TextKind, number>> = {
  general: 32,
  jwt: 32,
  'api-key': 20,
  'postgres-url': 16,
  'redis-url': 16,
}

/** White space and quotes around a value come from a shell, an editor or a template, and are never meant. */
function judgeForm(value: string, kind: SecretKind): SecretFault[] {
  const faults: SecretFault[] = []
  const add = (code: SecretFaultCode, problem: string): unknown => faults.push(fault(code, problem, kind))
  // A PEM file ends with a line feed; for every other kind it is an accident.
  const body = kind === 'private-key' || kind === 'public-key' ? value.replace(/\r?\n$/, '') : value
  if (/[\r\n]$/.test(body)) add('white-space', 'ends with a line break')
  else if (body !== body.trim()) add('white-space', 'begins or ends with white space')
  if (/^\s*(["'`]).*\1\s*$/s.test(body)) add('quoted', 'is wrapped in quotation marks')
  return faults
}

function judgeText(text: string, kind: TextKind): SecretFault[] {
  const faults: SecretFault[] = []
  const body = text.trim().replace(/^(["'`])(.*)\1$/s, '$2')
  const subject = kind.endsWith('-url') ? 'its password ' : ''
  const add = (code: SecretFaultCode, problem: string): unknown => faults.push(fault(code, subject + problem, kind))
  if (text.length > MAX_LENGTH) {
    add('too-long', `is longer than ${MAX_LENGTH} characters`)
    return faults
  }
  if (/[\p{Cc}\p{Cs}]/u.test(body)) add('unprintable', 'holds control characters')
  if (readings(body).some(isStandIn)) add('stand-in', STAND_IN)
  const minimum = MIN_LENGTH[kind]
  if (Array.from(body).length < minimum) {
    // Too short to say more about: few characters always have little variety.
    add('too-short', `is shorter than ${minimum} characters`)
    return faults
  }
  if (isPredictable(body, minimum)) add('predictable', 'repeats itself, or counts up, or runs along the keyboard')
  if (isMonotonous(body, minimum)) add('low-entropy', 'has too little variety in its characters')
  return faults
}

/**
 * A text is predictable when it is a shorter block over and over, or when too few of its characters have to be
 * guessed. The share is asked of the first 128 characters only: long hex repeats its triples by chance.
 */
function isPredictable(text: string, minimum: number): boolean {
  const period = periodOf(text)
  if (period * 2 <= text.length && period < minimum) return true
  return readings(text).some((reading) => {
    const share = Math.min(reading.length, 128) * 0.4
    return unpredictableLength(reading) < (reading === text ? Math.max(minimum / 2 + 2, share) : share)
  })
}

/** The value itself, and what it says when it is base64 or hex of plain text. Random bytes are not plain text. */
function readings(text: string): string[] {
  const decoded = /^(?:[0-9a-f]{2})+$/i.test(text) ? Buffer.from(text, 'hex') : Buffer.from(text, 'base64')
  const plain = decoded.toString('latin1')
  const isEncoded = /^[0-9a-z+/_-]+=*$/i.test(text) && /^[\t\n\r\x20-\x7e]{8,}$/.test(plain)
  return isEncoded ? [text, plain] : [text]
}

/**
 * For 32 characters and more: below 2.8 bits per character, or below 9 different characters. Less is asked of shorter
 * values, since 16 random hex digits reach only 3.2 bits on average and now and then 2.5.
 */
function isMonotonous(text: string, minimum: number): boolean {
  const bits = Math.min(2.8, Math.log2(minimum) - 1.8)
  const distinct = Math.min(10, Math.floor(minimum / 3.5))
  return entropyPerChar(text) < bits || new Set(text).size < distinct
}

function fault(code: SecretFaultCode, problem: string, kind: SecretKind): SecretFault {
  return { code, problem, fix: FIX[kind] }
}
