import { wordsOf } from '../secrets/names.ts'

/** Whether a name promises that somebody is authenticated or authorised: `require_scopes`, `JwtAuthGuard`, `current_user`. */
export function soundsLikeAuthentication(name: string): boolean {
  const words = wordsOf(name).join(' ')
  return AUTHENTICATION.test(words) && !NOT_AUTHENTICATION.test(words)
}

const AUTHENTICATION = new RegExp(
  [
    String.raw`\b(auth\d*|authn|authz|authenticat\w*|authori[sz]\w*|oauth2?|oidc|\w*jwt|jws|login|logged in|signed in|permissions?|permitted|scopes?|scoped|roles?|rbac|acl|admin|admins|superuser|staff|guard|guards|protect|protected|principal|identity|credentials?|api ?keys?|apikey|bearer|hmac|passport|keycloak|cognito|clerk|entitlement|ability|policy|policies)\b`,
    String.raw`\b(current|active|acting|session|logged|signed) (\w+ )?(user|account|tenant|member|customer|agent|client|admin|subject|organization|org|principal|identity)\b`,
    String.raw`\b(require|requires|required|verify|verifies|check|ensure|assert|need|needs|enforce) (\w+ )?(token|user|key|session|access|client|caller|signature|owner|ownership)\b`,
    String.raw`\bvalidate (\w+ )?(token|session|access|signature|caller)\b`,
    String.raw`\b(get|decode|extract|parse|load|resolve) (\w+ )?(token|claims|caller|principal|identity)\b`,
    String.raw`\b(token|user|access|signature|session|key) (required|verified|check|guard|validator|verifier)\b`,
    String.raw`\b(require|is|has|check|ensure|verify|with|use)(auth|login|user|admin|token|role|permission|session)\w*\b`,
    String.raw`\b(load|attach|populate|inject|with) (\w+ )?(session|user|identity|member|account)\b`,
    String.raw`\baccess control\b`,
  ].join('|'),
)
const NOT_AUTHENTICATION = /\b(csrf|xsrf|rate|limit|limiter|throttle|throttler|database|db|author|cors)\b/

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
    const words = [...segments.flatMap(wordsOf), ...context]
    if (!words.some((word) => MACHINES.test(word)) && words.some((word) => PEOPLE.test(word))) return 'public'
  }
  if ([...segments, ...context].some((word) => /^(webhooks?|hooks?)$/.test(word))) return 'webhook'
  return QUERY_LAST.test(last) ? 'query' : 'change'
}

const PUBLIC_LAST =
  /^(login|log-in|logout|log-out|signin|sign-in|signup|sign-up|signout|sign-out|refresh|refresh-token|access-token|forgot-password|reset-password|password-reset|password-recovery|recover-password|request-password-reset|forgot|recover|verify-email|confirm-email|email-verification|resend-verification|activate|otp|magic-link|callback|health|healthz|healthcheck|health-check|livez|readyz|ready|live|liveness|readiness|ping|metrics|csp-report|introspect|revoke|jwks|captcha|contact|unsubscribe)$/
const PUBLIC_ANYWHERE = /^(login|signin|sso|saml|oauth2?|oidc|password-recovery|\.well-known)$/
const REGISTER = /^(register|registration|signup|sign-up|join)$/
const QUERY_LAST =
  /^(search|query|preview|validate|calculate|estimate|filter|lookup|count|quote|suggest|autocomplete|parse|render|graphql)$/
const PEOPLE =
  /^(users?|accounts?|auth|customers?|members?|signup|profiles?|people|person|login|identity|authentication)$/
const MACHINES =
  /^(agents?|services?|devices?|nodes?|workers?|machines?|clients?|instances?|plugins?|tools?|servers?|hosts?|runners?|bots?)$/
