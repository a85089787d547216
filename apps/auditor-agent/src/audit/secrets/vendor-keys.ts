import { lintSource } from '@secretlint/core'
import { secretLintProfiler } from '@secretlint/profiler'
import { rules } from '@secretlint/secretlint-rule-preset-recommend'

export interface VendorKey {
  readonly start: number
  readonly end: number
  readonly value: string
  /** What kind of key it is, as a reader would name it. */
  readonly title: string
  readonly isPrivateKey: boolean
}

// It would keep a mark per rule and file for as long as the process lives.
secretLintProfiler.setEnabled(false)

/** Left to the audit of URLs, which knows placeholders; comments must give a reason, so secretlint's own do not count. */
const DISABLED = ['basicauth', 'database-connection-string', 'filter-comments'].map(
  (name) => `@secretlint/secretlint-rule-${name}`,
)

const config = {
  rules: rules.filter(({ meta }) => !DISABLED.includes(meta.id)).map((rule) => ({ id: rule.meta.id, rule })),
}

/** Keys of known vendors anywhere in a text: those of secretlint's recommended rules and a few formats that it leaves out. */
export async function vendorKeys(path: string, text: string): Promise<VendorKey[]> {
  const source = { filePath: path, content: text, contentType: 'text' as const, ext: path.slice(path.lastIndexOf('.')) }
  const { messages } = await lintSource({ source, options: { config, noPhysicFilePath: true } })
  const known = messages.map(({ range: [start, end], ruleId, messageId }) => {
    const isPrivateKey = ruleId.endsWith('rule-privatekey')
    return { start, end, value: text.slice(start, end), title: titleOf(ruleId, messageId), isPrivateKey }
  })
  return [...known, ...furtherFormats(text)].filter(({ value, isPrivateKey }) =>
    isPrivateKey ? isWholeKey(value) : !isFake(value),
  )
}

function titleOf(ruleId: string, messageId: string): string {
  if (ruleId.endsWith('rule-privatekey')) return 'A private key is in the repository'
  const words = messageId
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .join(' ')
  return `A live credential is in the repository (${words})`
}

const FURTHER: readonly (readonly [RegExp, string])[] = [
  [/\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g, 'aws access key id'],
  [/\bsk-(?:proj-|svcacct-)?[A-Za-z0-9_-]{32,}\b/g, 'openai api key'],
  [/\bAIza[0-9A-Za-z_-]{35}\b/g, 'google api key'],
  [/\b\d{8,10}:AA[0-9A-Za-z_-]{33}\b/g, 'telegram bot token'],
  [/\brk_live_[0-9A-Za-z]{20,}\b/g, 'stripe restricted key'],
  [/\bkey-[0-9a-f]{32}\b/g, 'mailgun api key'],
  [/\bxai-[A-Za-z0-9]{60,}\b/g, 'xai api key'],
]

function furtherFormats(text: string): VendorKey[] {
  return FURTHER.flatMap(([pattern, name]) =>
    [...text.matchAll(pattern)].map((match) => ({
      start: match.index,
      end: match.index + match[0].length,
      value: match[0],
      title: `A live credential is in the repository (${name})`,
      isPrivateKey: false,
    })),
  )
}

/** Examples of documentation: they name themselves, count up, or repeat few characters. */
function isFake(value: string): boolean {
  if (
    /example|placeholder|dummy|fake|changeme|change-this|your[-_]?|x{5,}|0{6,}|1{6,}|\*{3,}|\.{3}|123456789|abcdefgh|abcdef0123|deadbeef|redacted/i.test(
      value,
    )
  )
    return true
  return new Set(value).size < 10
}

/** A header alone, as in a parser or a test of one, is no key. */
function isWholeKey(value: string): boolean {
  const body = value.replaceAll(/-----[A-Z ]+-----|\\n|[^A-Za-z0-9+/=]/g, '')
  return body.length >= 60 && new Set(body).size >= 12
}
