/**
 * The family of values that people put where a secret belongs until they have one. A value is of the family when it
 * is a template to fill in, when it holds one of the long phrases anywhere, or when words of the family make up half
 * of it. Case, separators and leetspeak do not matter. Words of fewer than three letters are not counted: random hex
 * and base64 is full of them, and a random value must never be refused.
 */
export function isStandIn(value: string): boolean {
  const text = value.normalize('NFKC').trim()
  return TEMPLATES.some((template) => template.test(text)) || spellings(text).some(isFamily)
}

const TEMPLATES = [
  /^<[^<>]*>$/,
  /^\[[^[\]]*\]$/,
  /^%[^%]+%$/,
  /^\.{3,}$/,
  /<[a-z][a-z _.-]*[a-z]>/i,
  /\$\{[^}]*\}/,
  /\$\([^)]*\)/,
  /\{\{[^}]*\}\}/,
]

/** Long enough that chance does not produce them (below one in ten million for a random value of 44 characters). */
const PHRASES = [
  'changethis',
  'changeme',
  'changeit',
  'changebefore',
  'replaceme',
  'replacethis',
  'replacewith',
  'placeholder',
  'yoursecret',
  'yourpassword',
  'supersecret',
  'notasecret',
  'nosecret',
  'insecure',
  'donotuse',
  'fixmelater',
  'password',
  'passw0rd',
  'examplekey',
  'putyour',
  'enteryour',
  'insertyour',
]

const WORDS = (
  'access account admin administrator agent alice another anon any anything api apikey app auth backend bar base baz before ' +
  'bearer bob bogus change changed changeit changeme changethis client code config credential credentials database debug ' +
  'default demo dev developer development dragon dummy edit encryption enter env example fake fill fixme foo foobar for from ' +
  'generate goes gateway guest hello here hunter hypercode iloveyou insecure insert into its jwt key keyboard later letmein ' +
  'live local localhost login long long-enough lorem ipsum love master monkey must mysecret need never new nobody none not ' +
  'null only openai password passwd passphrase phrase placeholder please postgres postgresql pass pgbouncer platform private ' +
  'prod production proj public put put-here qux random real redacted redis replace root safe sample secret secrets secure ' +
  'security service session set shadow sign signing some something staging string strong stub sunshine super supersecret ' +
  'system temp temporary test tester testing than the this todo token trustno1 tbd undefined update use user value very ' +
  'welcome with word world worker xxx xxxx you your yours yyy zzz qwerty abc abcdef master football baseball princess'
)
  .replaceAll('-', '')
  .split(' ')

const BY_FIRST_LETTER = Map.groupBy(new Set(WORDS), (word) => word.charAt(0))

const LEET: Readonly<Record<string, string>> = {
  '0': 'o',
  '3': 'e',
  '4': 'a',
  '5': 's',
  '7': 't',
  '8': 'b',
  '9': 'g',
  '@': 'a',
  $: 's',
  '+': 't',
}

/** The ways to read a value: as it is written, and with leetspeak undone (`1`, `!` and `|` stand for i or l). */
function spellings(text: string): string[] {
  const lower = text.toLowerCase()
  const unleet = (one: string): string =>
    squeeze(lower.replace(/[0-9@$+!|]/g, (char) => (/[1!|]/.test(char) ? one : (LEET[char] ?? char))))
  return [squeeze(lower), unleet('i'), unleet('l')]
}

function squeeze(text: string): string {
  return text.replace(/[^\p{L}\p{N}]/gu, '')
}

function isFamily(text: string): boolean {
  if (text.length === 0) return false
  return PHRASES.some((phrase) => text.includes(phrase)) || coveredByWords(text) * 2 >= text.length
}

/** The largest number of characters that words which do not overlap can cover. */
function coveredByWords(text: string): number {
  const best = Array.from({ length: text.length + 1 }, () => 0)
  for (let at = text.length - 1; at >= 0; at--) {
    const fitting = (BY_FIRST_LETTER.get(text.charAt(at)) ?? []).filter((word) => text.startsWith(word, at))
    best[at] = Math.max(best[at + 1] ?? 0, ...fitting.map((word) => word.length + (best[at + word.length] ?? 0)))
  }
  return best[0] ?? 0
}
