/**
 * Every error code of the API with its status and title. A code is stable: clients branch on it, never on a message.
 * `fix` says what the caller can do where that is the same every time.
 */
export const ERRORS = {
  request_invalid: { status: 400, title: 'The request does not fit its schema' },
  token_missing: {
    status: 401,
    title: 'The request carries no access token',
    fix: 'Send "Authorization: Bearer <token>" with a token from POST /v1/auth/token.',
  },
  token_invalid: { status: 401, title: 'The access token is not valid', fix: 'Ask POST /v1/auth/token for a new one.' },
  client_invalid: { status: 401, title: 'Unknown client or wrong secret' },
  insufficient_scope: { status: 403, title: 'The token lacks a scope' },
  gym_required: {
    status: 403,
    title: 'The version has not passed its gym suites',
    fix: 'Run each missing suite with POST /v1/gym/runs against this version, then promote again.',
  },
  not_your_agent: { status: 403, title: 'An agent can act only for itself' },
  not_an_approver: { status: 403, title: 'The approval is for others to decide' },
  not_found: { status: 404, title: 'There is no such resource' },
  method_not_allowed: { status: 405, title: 'The resource does not know this method' },
  not_acceptable: { status: 406, title: 'No such representation' },
  request_timeout: { status: 408, title: 'The request did not arrive in time' },
  conflict: { status: 409, title: 'The resource is not in a state that allows this' },
  fenced: { status: 409, title: 'A newer incarnation of this agent instance has registered' },
  stale_attempt: { status: 409, title: 'The attempt is no longer the current one' },
  effect_unknown: {
    status: 409,
    title: 'An earlier attempt was cut off in this effect, and it must not be repeated',
    fix: 'Stop working on it: the task is paused until a person has said whether the effect has happened.',
  },
  crew_incomplete: { status: 409, title: 'Members of the crew have nobody to do their work' },
  no_capacity: { status: 409, title: 'The population of the blueprint is at its maximum' },
  version_mismatch: {
    status: 412,
    title: 'The resource has changed since it was read',
    fix: 'Read it again and repeat the change with its new ETag.',
  },
  body_too_large: { status: 413, title: 'The body is larger than allowed' },
  uri_too_long: { status: 414, title: 'The URL, or a part of its path, is longer than allowed' },
  unsupported_media_type: { status: 415, title: 'The content type is not supported here' },
  manifest_invalid: { status: 422, title: 'The crew manifest has faults' },
  blueprint_invalid: { status: 422, title: 'The blueprint has faults' },
  suite_invalid: { status: 422, title: 'The suite has faults' },
  unprocessable: { status: 422, title: 'The request cannot be carried out as it stands' },
  idempotency_mismatch: {
    status: 422,
    title: 'The idempotency key was used with another request',
    fix: 'Use a new Idempotency-Key for a new request.',
  },
  text_invalid: {
    status: 422,
    title: 'The body holds text that cannot be stored',
    fix: 'Remove \\u0000 and lone surrogates.',
  },
  rate_limited: { status: 429, title: 'Too many requests' },
  headers_too_large: { status: 431, title: 'The request headers are larger than allowed' },
  internal: { status: 500, title: 'Something failed on our side' },
  bad_gateway: { status: 502, title: 'The service behind the gateway did not answer properly' },
  unavailable: {
    status: 503,
    title: 'The service cannot do this at the moment',
    fix: 'Try again after the seconds in Retry-After.',
  },
} as const satisfies Record<string, { status: number; title: string; fix?: string }>

export type ErrorCode = keyof typeof ERRORS

/** The `type` member of a problem document. */
export const problemType = (code: string): string => `https://hypercode.dev/problems/${code}`
