/** What stands in a log line in place of a secret. */
export const REDACTED = '[redacted]'

/**
 * Takes out of any text, also of one that is JSON, what looks like a secret: credentials of an Authorization header,
 * JSON web tokens, keys in the forms of well-known vendors, passwords in URLs, values of `password=…` and its kin,
 * private keys in PEM. JSON stays JSON, since nothing here crosses a quotation mark or cuts an escape in two.
 */
export function scrubText(text: string): string {
  return RULES.reduce(
    (rest, { hint, pattern, replacement }) => (hint.test(rest) ? rest.replace(pattern, replacement) : rest),
    text,
  )
}

/** A sensitive word as it is spelled in query strings, headers, forms and key-value text. */
const WORD =
  '(?:proxy-)?authorization|(?:set-)?cookie|pass(?:word|wd|phrase)|pwd|(?:[a-z]+[_-]?)?secret|(?:[a-z]+[_-]?)?token|' +
  '(?:x-)?api[_-]?key|private[_-]?key|signature|sig|client_assertion|credentials?'

/** A quotation mark of JSON, or of JSON that is a string in JSON. */
const QUOTE = String.raw`\\{0,3}["']`

/** `hint` is the cheap question whether the costlier `pattern` can match at all. */
const RULES: readonly { hint: RegExp; pattern: RegExp; replacement: string }[] = [
  {
    hint: /-BEGIN /,
    pattern: /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?:[^"\\]|\\.)*/g,
    replacement: REDACTED,
  },
  {
    hint: /bearer|basic|negotiate/i,
    // A word of prose is shorter than 20 letters and has no digit, capital or underscore in it.
    pattern:
      /\b([Bb]earer|BEARER|[Bb]asic|BASIC|[Nn]egotiate)((?:\s|%20|\+){1,4})(?:(?=[a-z.~+/-]*[A-Z0-9_=])[A-Za-z0-9._~+/=-]{6,}|[a-z.~+/-]{20,})/g,
    replacement: `$1$2${REDACTED}`,
  },
  {
    hint: /eyJ/,
    pattern: /eyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){1,4}/g,
    replacement: REDACTED,
  },
  {
    hint: /[srp]k[-_]|gh[a-z]_|github_pat_|gl[a-z]+-|xox|xapp-|AKIA|ASIA|AIza|npm_|hf_|SG\.|ya29\./,
    pattern:
      /\b(?:[srp]k[-_](?:[a-z0-9]+[-_]){0,3}[A-Za-z0-9_-]{12,}|gh[opsur]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|gl[a-z]{2,8}-[\w-]{16,}|xox[a-z]-[\w-]{10,}|xapp-[\w-]{10,}|A[KS]IA[0-9A-Z]{16}|AIza[\w-]{30,}|npm_[A-Za-z0-9]{30,}|hf_[A-Za-z0-9]{20,}|SG\.[\w-]{16,}\.[\w-]{16,}|ya29\.[\w-]{20,})/g,
    replacement: REDACTED,
  },
  {
    hint: /:\/\/[^\s"/]*@/,
    pattern: /(:\/\/[^\s:/@"'\\]*):[^\s"/\\]*@/g,
    replacement: `$1:${REDACTED}@`,
  },
  {
    hint: /=/,
    pattern: new RegExp(`(^|[^a-z0-9])(${WORD})=(?!\\[redacted\\])[^\\s&;,"'\\\\#<>]+`, 'gi'),
    replacement: `$1$2=${REDACTED}`,
  },
  {
    // JSON that was put into a message as text; the quotation marks are escaped in the line.
    hint: /["'] *:/,
    pattern: new RegExp(`(${QUOTE}(?:${WORD})${QUOTE}\\s*:\\s*${QUOTE})(?!\\[redacted\\])[^"'\\\\]+`, 'gi'),
    replacement: `$1${REDACTED}`,
  },
]
