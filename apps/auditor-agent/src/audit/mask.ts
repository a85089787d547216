/**
 * Hides what a reader of the report could use: keys of known vendors, passwords in URLs, private keys, and the given
 * literal values. Enough of each is left to recognise it.
 */
export function maskSecrets(text: string, values: readonly string[] = []): string {
  let masked = text
  for (const value of values) if (value.length > 0) masked = masked.replaceAll(value, maskValue(value))
  return masked
    .replace(VENDOR_KEY, (key) => (isObviouslyFake(key) ? key : maskValue(key)))
    .replace(URL_PASSWORD, (whole, head: string, password: string) =>
      isObviouslyFake(password) || password.length < 5 ? whole : `${head}${maskValue(password)}@`,
    )
    .replace(PRIVATE_KEY, '$1 ****')
}

export function maskValue(value: string): string {
  const keep = value.length >= 24 ? 6 : value.length >= 12 ? 4 : value.length >= 6 ? 2 : 0
  return `${value.slice(0, keep)}****`
}

const VENDOR_KEY =
  /\b(?:sk|pk|rk)[-_](?:live|test|proj|ant|or|svcacct)?[-_]?[A-Za-z0-9_-]{16,}|\b(?:ghp|gho|ghu|ghs|ghr)_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}|\bxox[abeprs]-[\w-]{10,}|\bAKIA[0-9A-Z]{16}\b|\bAIza[\w-]{30,}|\b(?:hf|gsk|npm|dop_v1|shpat|lin_api)_[A-Za-z0-9]{16,}|\bSG\.[\w-]{16,}\.[\w-]{16,}|\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{5,}/g
const URL_PASSWORD = /(\b[a-z][a-z0-9+.-]*:\/\/[^\s:@/'"]*:)([^\s@/'"]+)@/gi
const PRIVATE_KEY = /(-----BEGIN [A-Z ]*PRIVATE KEY-----)[\s\S]*/

function isObviouslyFake(value: string): boolean {
  return (
    /placeholder|change.?(me|this)|example|your[-_]|x{4,}|\.{3}|\*{3}|^\$|[{<]/i.test(value) || new Set(value).size < 6
  )
}
