import { wordsOf } from '../secrets/names.ts'

/**
 * Whether a name promises that somebody is authenticated or authorised: `require_scopes`, `JwtAuthGuard`, `current_user`.
 * Of a dotted name the last part decides (`auth.required`, `adminController.validate`), the rest only when it is a
 * module for the purpose.
 */
export function soundsLikeAuthentication(name: string): boolean {
  const dot = name.lastIndexOf('.')
  const last = name.slice(dot + 1)
  if (promises(last)) return true
  if (dot < 0 || POPULATES.test(last)) return false
  const head = name.slice(0, dot)
  return MODULE.test(head.slice(head.lastIndexOf('.') + 1)) && promises(head)
}

function promises(name: string): boolean {
  const words = wordsOf(name).join(' ')
  if (!AUTHENTICATION.test(words) || NOT_AUTHENTICATION.test(words)) return false
  return VERB.test(words) || !PROVIDER.test(words)
}

/** `auth.required`, `authMiddleware.handle`, `passport.authenticate`. */
const MODULE = /^(auth\w*|jwt\w*|passport|acl|rbac|guards?|permissions?|security|keycloak|oauth\w*|session)$/i
/** Methods of such modules that let everybody through. */
const POPULATES = /^(initialize|session|serializeUser|deserializeUser|logout|use|init|setup|routes|router)$/
const VERB = /^(require|requires|verify|check|ensure|validate|get current|current|assert|enforce)\b/
/** Things that are handed in, not guards: `get_auth_service`. */
const PROVIDER =
  /\b(service|services|repository|repo|client|manager|config|settings|options|factory|provider|store|handler|usecase|engine)$/

const AUTHENTICATION = new RegExp(
  [
    String.raw`\b(auth\d*|authn|authz|authenticat\w*|authori[sz]\w*|oauth2?|oidc|\w*jwt|jws|login|logged in|signed in|permissions?|permitted|scopes?|roles?|rbac|acl|admin|admins|superuser|staff|guard|guards|protect|protected|principal|identity|credentials?|api ?keys?|apikey|bearer|hmac|keycloak|cognito|clerk|entitlement)\b`,
    String.raw`\b(current|active|acting|session|logged|signed) (\w+ )?(user|account|tenant|member|customer|agent|client|admin|subject|organization|org|principal|identity)\b`,
    String.raw`\b(require|requires|required|verify|verifies|check|ensure|assert|need|needs|enforce) (\w+ )?(token|user|key|session|access|client|caller|signature|owner|ownership)\b`,
    String.raw`\bvalidate (\w+ )?(token|session|access|signature|caller)\b`,
    String.raw`\b(get|decode|extract|parse|load|resolve) (\w+ )?(token|claims|caller|principal|identity)\b`,
    String.raw`\b(token|user|access|signature|session|key) (required|verified|check|guard|validator|verifier)\b`,
    String.raw`\b(require|is|has|check|ensure|verify|with|use)(auth|login|user|admin|token|role|permission|session)\w*\b`,
    String.raw`\baccess control\b`,
  ].join('|'),
)
const NOT_AUTHENTICATION =
  /\b(csrf|xsrf|rate|limit|limiter|throttle|throttler|database|db|author|cors|schema|schemas|dto|controller|validator|validation|template|view|router|routers|route|routes|logger)\b/

/** Middleware that says who is calling and refuses nobody: `loadMemberSession`, `attachUser`. */
export function loadsIdentity(name: string): boolean {
  return /^(load|attach|populate|set|inject|deserialize) (\w+ )*(user|session|member|identity|account|caller|principal)\b/.test(
    wordsOf(name.slice(name.lastIndexOf('.') + 1)).join(' '),
  )
}

export interface EndpointName {
  readonly path: string
  /** The function, the file and the prefix around it: what else says whom the endpoint is for. */
  readonly around: readonly string[]
}

export type Nature = 'public' | 'webhook' | 'query' | 'change'

/**
 * What an endpoint is for, by its path and its surroundings. `public` ones are there for people who have no identity
 * yet, or tell nothing; a `query` answers a question although it is a POST.
 */
export function natureOf({ path, around }: EndpointName): Nature {
  const segments = path
    .toLowerCase()
    .split('/')
    .filter((segment) => segment !== '' && !/^[{:<*[]/.test(segment))
  const last = segments.at(-1)?.replaceAll('_', '-') ?? ''
  const context = around.flatMap(wordsOf)
  if (PUBLIC_LAST.test(last) || segments.some((segment) => PUBLIC_ANYWHERE.test(segment))) return 'public'
  const isAboutPeople = [...segments.flatMap(wordsOf), ...context].some((word) => PEOPLE.test(word))
  if (PUBLIC_AMONG_PEOPLE.test(last) && (isAboutPeople || segments.length === 1)) return 'public'
  if (last === 'token' || last === 'tokens') {
    const isIssuer =
      segments.length <= 2 || segments.some((segment) => /^(auth|oauth2?|login|users?|account)$/.test(segment))
    if (isIssuer && !segments.some((segment) => MACHINES.test(segment))) return 'public'
  }
  const handler = wordsOf(around[0] ?? '').join(' ')
  if (
    /^(user )?(login|sign ?in|sign ?up|log ?in|logout|forgot password|reset password|health|healthcheck|ping)\b/.test(
      handler,
    )
  )
    return 'public'
  if (REGISTER.test(last)) {
    const isAboutMachines = [...segments.flatMap(wordsOf), ...context].some((word) => MACHINES.test(word))
    if (!isAboutMachines && isAboutPeople) return 'public'
  }
  if ([...segments, ...wordsOf(around[0] ?? '')].some((word) => /^(webhooks?|hooks)$/.test(word))) return 'webhook'
  return QUERY_LAST.test(last) ? 'query' : 'change'
}

const PUBLIC_LAST =
  /^(login|log-in|logout|log-out|signin|sign-in|signup|sign-up|signout|sign-out|refresh-token|access-token|forgot-password|reset-password|password-reset|password-recovery|recover-password|request-password-reset|forgot|recover|verify-email|confirm-email|email-verification|resend-verification|magic-link|health|healthz|healthcheck|health-check|livez|readyz|ready|live|liveness|readiness|ping|metrics|csp-report|jwks|captcha|contact|unsubscribe)$/
/** Steps of a log-in, when they are about people: `/auth/refresh`, but not `/cache/refresh`. */
const PUBLIC_AMONG_PEOPLE = /^(refresh|activate|otp|callback|introspect|revoke|verify|confirm)$/
const PUBLIC_ANYWHERE = /^(login|signin|sso|saml|oauth2?|oidc|password-recovery|\.well-known)$/
const REGISTER = /^(register|registration|signup|sign-up|join)$/
const QUERY_LAST =
  /^(search|query|preview|validate|calculate|estimate|filter|lookup|count|quote|suggest|autocomplete|parse|render|graphql)$/
const PEOPLE =
  /^(users?|accounts?|auth|customers?|members?|signup|profiles?|people|person|login|identity|authentication)$/
const MACHINES =
  /^(agents?|services?|devices?|nodes?|workers?|machines?|clients?|instances?|plugins?|tools?|servers?|hosts?|runners?|bots?)$/
