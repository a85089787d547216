/** How surely a name means a secret: `certain` for `JWT_SECRET`, `likely` for a plain `token`. */
export type Secrecy = 'certain' | 'likely'

/**
 * Judges the name of a variable, property or key by its words. The last words say what a thing is: `SECRET_KEY` is a
 * secret, `SECRET_KEY_PATH` is a path, `max_tokens` is a number.
 */
export function secrecyOf(name: string): Secrecy | undefined {
  const words = wordsOf(name)
  const last = words.at(-1)
  if (last === undefined || words.length > 8) return undefined
  if (words.some((word) => NOT_WITH.has(word))) return undefined
  const joined = words.join(' ')
  if (ABOUT.has(last) || /\b(public|primary|foreign) key$/.test(joined)) return undefined
  if (CERTAIN.test(joined)) return 'certain'
  return LIKELY.test(joined) ? 'likely' : undefined
}

/** `jwtSecretKey`, `JWT_SECRET_KEY`, `jwt-secret.key` → jwt secret key. */
export function wordsOf(name: string): string[] {
  return name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replaceAll(/([A-Z]+)([A-Z][a-z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '')
}

const CERTAIN =
  /(^| )(password|passwd|passphrase|secret|secret key|secretkey|secret or key|api key|apikey|api secret|api token|private key|privatekey|access key|secret access key|signing key|signature key|encryption key|encrypt key|crypto key|cipher key|hmac key|hmac secret|jwt key|jwt secret|jwtsecret|jwt token|session secret|cookie secret|client secret|auth token|auth key|access token|refresh token|bearer token|bot token|master key|admin key|admin token|service key|service token|service role key|account key|fernet key|webhook secret|webhook key|openai key|anthropic key|stripe key|github token|gitlab token|slack token|npm token|deploy token|deploy key|db pass|database pass|postgres pass|mysql pass|redis pass|smtp pass|mail pass|rabbitmq pass|mongo pass|user pass|password salt|secret salt|password pepper|license key|app key|application key|consumer key|shared key|security key|personal access token|private token|webhook token|(openai|anthropic|stripe|sendgrid|twilio|mailgun|aws|azure|gcp|github|gitlab|slack|discord|telegram|groq|mistral|cohere|huggingface|replicate|pinecone|supabase|datadog|algolia|cloudflare) (\w+ )?(key|token))( (value|default|str|string|bytes|b64|base64|prod|production|dev|development|staging|local|v?\d+))?$/

const LIKELY = /(^| )(token|pwd|pass|credential|passcode|pin code|session key|cookie key|salt|pepper)$|^key$/

/** The last word when the name is about a secret and is not one. */
const ABOUT = new Set(
  (
    'url uri endpoint path paths file files filename dir folder name names id ids type types field fields column header headers ' +
    'prefix suffix length len size min max ttl expiry expires expiration expire minutes seconds days hours ms algorithm alg algo ' +
    'hash hashed regex pattern policy rule rules label title placeholder hint message msg error errors text description help ' +
    'param params parameter input form schema model validator scheme strategy provider manager service store storage repository ' +
    'reset required enabled disabled count limit budget usage version format env var variable attr attribute prop property ref ' +
    'arn source class func function scope scopes audience issuer location mode status state kind index cost strength rotation ' +
    'cookie context namespace topic event action route page view template subject backend driver engine handler visible ' +
    'confirmation changed at by in options config settings auth login check match exists invalid'
  ).split(' '),
)

/** Words that make the whole name something else, wherever they stand. */
const NOT_WITH = new Set(
  'invalid missing wrong bad incorrect expired forgot forgotten reset change confirm show hide toggle validate verify generate create has is no num max min csrf xsrf public fake mock dummy example sample hashed encrypted masked redacted tokenizer error placeholder'.split(
    ' ',
  ),
)
