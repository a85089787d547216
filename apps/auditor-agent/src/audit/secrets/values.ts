import { wordsOf } from './names.ts'

/**
 * What a literal value looks like: `reference` stands for something else or for nothing, `placeholder` is known to
 * everybody, `random` looks like a real secret, `word` is any other text.
 */
export type ValueClass = 'reference' | 'placeholder' | 'random' | 'word'

export function classify(value: string): ValueClass {
  const text = value.trim()
  if (text.length < 2 || REFERENCE.test(text) || /[^\x20-\x7e]/.test(text)) return 'reference'
  if (/\s/.test(text)) return SPOKEN.test(text) ? 'placeholder' : 'reference'
  // var.db_password, auth.password.label: where the value is, or what it is called.
  if (/^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$/.test(text) && !isRandom(text)) return 'reference'
  if (PHRASE.test(text)) return 'placeholder'
  if (NOT_A_VALUE.test(text)) return 'reference'
  if (isGuessable(text)) return 'placeholder'
  if (isRandom(text)) return 'random'
  return /^[A-Za-z_]+(\/[A-Za-z_]+)+$/.test(text) ? 'reference' : 'word'
}

/** The secret in the value of an Authorization header; undefined when there is none. */
export function headerSecret(name: string, value: string): string | undefined {
  if (!/^(proxy-)?authorization$/i.test(name)) return undefined
  const secret = /^(?:Bearer|Token|Basic|ApiKey)\s+(\S{16,})$/i.exec(value)?.[1]
  return secret !== undefined && classify(secret) === 'random' ? secret : undefined
}

/** Stands for a value that comes from elsewhere, or says that there is none. */
const REFERENCE =
  /^(\$\{?[A-Za-z_]|\$\(|\{\{|\{[\w.]*\}$|%\(|%[A-Z_]+%$|<%|env[:.(]|vault:|ssm:|arn:aws|projects\/|secretref|valueFrom|!|@Microsoft|op:\/\/|aws:\/\/|gcp:\/\/|file:)|^(none|null|undefined|nil|true|false|string|str|text|number|boolean|bool|object|int|integer|uuid|any|required|optional|hidden|varchar|bearer|basic|digest|oauth2?|jwt|apikey|header|query|body|new-password|current-password|one-time-code|authorization|x-[a-z-]+|\.{3,}|\*+|\[?redacted\]?|\[?masked\]?)$|^\[?Filtered\]?$/i

/** Paths, addresses, validation rules, types, selectors, templates. */
const NOT_A_VALUE =
  /^[A-Za-z]+(:[A-Za-z]+)+$|^(\/|\.{1,2}\/|~\/|[a-z][a-z0-9+.-]*:\/\/|#|\.[a-z])|[|(){}[\]]|^[\w.-]+@[\w-]+\.\w+$|\.(json|pem|key|txt|ya?ml|py|ts|js|crt|cert)$/i

const PHRASE =
  /^(<[^<>]*>|\[[^[\]]*(here|your|key|secret|password)[^[\]]*\])$|change[ _-]?(this|me|it|in|before|default)|placeholder|replace[ _-]?(this|me|with)|your[ _-][\w -]*(key|secret|token|password|here)|your[ _-]?(key|secret|token|password)|insert[ _-]|(key|secret|token|password)[ _-]here|keyboard[ _-]?cat|super[ _-]?secret|top[ _-]?secret|my[ _-]?(secret|password|key|token)|not[ _-]?(so|a|very)?[ _-]?secret|django-insecure|(do[ _-]?not|don'?t)[ _-]?use|insecure|unsafe|dev(elopment)?[ _-]?(only|secret|key|token|password|jwt)|(test|local|default|demo|example|sample|dummy|fake)[ _-]?(secret|key|token|password)|secret[ _-]?(key|token|jwt|password)|s3cr3t|passw(or|0r)d|shh+|x{4,}|^to-?do$|^fix-?me$/i

/** Placeholders of several words; any other text with blanks is meant for people. */
const SPOKEN =
  /^<[^<>]*>$|^(please )?(change|replace) (this|me|it)\b|^your .{0,30}(key|secret|token|password)( here)?$|^(keyboard cat|super secret|my secret|top secret|some secret|very secret|a secret|secret)\b.{0,20}$|^insert .{0,30} here$/i

const GUESSABLE = new Set(
  (
    'secret secrets password pass passwd pwd admin administrator root test testing tester dev develop development local localhost ' +
    'default change changed example demo guest user username postgres postgresql mysql mariadb redis mongo mongodb rabbitmq minio ' +
    'minioadmin elastic kafka letmein qwerty welcome hunter2 abc abcd abcdef foo bar foobar baz qux xxx yyy zzz key token apikey ' +
    'jwt auth sample dummy fake temp tmp hello world hypercode app api server service prod production staging stage some any value ' +
    'string random insecure private public master session cookie hidden unknown nothing empty blank changeit docker grafana airflow ' +
    'keycloak wordpress strapi supabase system manager pa55word p4ssword trustno1 iloveyou monkey dragon sunshine'
  ).split(' '),
)

/** Guessable words that mean something else wherever a value is not certain to be a secret: `{ password: 'private' }`. */
const GENERIC = new Set(
  'private public server service app api default local system any some string value key token session cookie master hidden unknown nothing empty blank production prod staging stage user username guest sample random world hello manager change changed live'.split(
    ' ',
  ),
)

/** Only such words: a category, a type, a state. */
export function isGeneric(value: string): boolean {
  return wordsOf(value).every((word) => GENERIC.has(word))
}

/** Words and running digits that everybody tries first: `admin123`, `dev-secret`, `1234`. */
function isGuessable(text: string): boolean {
  const words = wordsOf(text.replaceAll('@', 'a').replaceAll('$', 's')).flatMap((word) =>
    word.split(/(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])/),
  )
  if (words.length === 0) return true
  if (/^(0?1234567?8?9?0?|(.)\2+|0+|abc123|123abc|a1b2c3.*|qwe(rty)?\d*|sk[-_](test|dev|xxx).{0,8})$/i.test(text))
    return true
  const known = words.filter((word) => GUESSABLE.has(word) || /^\d{1,6}$/.test(word) || word.length <= 2)
  return known.length === words.length && words.some((word) => GUESSABLE.has(word))
}

/** Long, mixed and without a grain of language. */
function isRandom(text: string): boolean {
  if (text.length < 16 || !/^[\w+/=~!@#$%^&*.:;,?-]+$/.test(text)) return false
  if (/^[0-9a-f]{24,}$/i.test(text)) return entropy(text) > 2.8
  const hasDigit = /\d/.test(text)
  const isMixed = /[a-z]/.test(text) && /[A-Z]/.test(text)
  if (!hasDigit && !(isMixed && text.length >= 24)) return false
  const longWords = text.match(/[a-z]{5,}|[A-Z]{5,}|[A-Z][a-z]{4,}/g) ?? []
  const spoken = longWords.reduce(
    (sum, word) => sum + (/[aeiou]/i.test(word) && !/[^aeiou]{5,}/i.test(word) ? word.length : 0),
    0,
  )
  return entropy(text) >= 3.2 && spoken < text.length * 0.5
}

/** Shannon's entropy in bits per character. */
function entropy(text: string): number {
  const counts = new Map<string, number>()
  for (const char of text) counts.set(char, (counts.get(char) ?? 0) + 1)
  return [...counts.values()].reduce((bits, count) => bits - (count / text.length) * Math.log2(count / text.length), 0)
}

/** `TOKEN = "token"`, `{ password: 'Password' }`, `ACCESS_TOKEN = 'access_token'`: the value is only the name again. */
export function isNameAgain(name: string, value: string): boolean {
  if (name.toLowerCase() === value.toLowerCase()) return true
  // A label: `"new_password": "New Password"` has a blank, `"newPassword": "Password"` has not.
  if (/^[A-Z][a-z]+$/.test(value) && wordsOf(name).includes(value.toLowerCase())) return true
  const own = wordsOf(name).join('')
  const other = wordsOf(value).join('')
  if (own === other) return !/secret$/.test(own) || !value.includes('-')
  // A cookie, a header or a claim: made of nothing but words for secrets.
  return /token$/.test(own) && wordsOf(value).every((word) => SECRET_WORDS.has(word))
}

const SECRET_WORDS = new Set([
  'access',
  'refresh',
  'session',
  'token',
  'auth',
  'id',
  'cookie',
  'api',
  'key',
  'bearer',
  'csrf',
  'user',
  'next',
  'jwt',
  'x',
  'sid',
])
