import { classify } from './values.ts'

export interface UrlCredentials {
  readonly password: string
  /** The password is one that everybody tries first. */
  readonly isGuessable: boolean
  /** The server is this machine, or a container beside this one (a bare name). */
  readonly isLocal: boolean
}

/** The password in a URL; undefined when there is none or when it stands for something else. */
export function urlCredentials(text: string): UrlCredentials | undefined {
  const match =
    /(?<scheme>\b[a-z][a-z0-9+.-]*):\/\/(?<user>[^\s:@/'"<>]*):(?<password>[^\s@/'"]+)@(?<host>[^\s:/?'",;]+)/i.exec(
      text,
    )
  const { scheme = '', user = '', password = '', host = '' } = match?.groups ?? {}
  if (
    password === '' ||
    scheme.toLowerCase() === 'driver' ||
    /[${}<>%[\]*]|\.\.\./.test(password) ||
    /[${}<>]/.test(host)
  )
    return undefined
  const kind = classify(password)
  if (kind === 'reference' && !/^(none|string|any|basic)$/i.test(password)) return undefined
  const isTemplate =
    /^(user(name)?|login|my_?user)$/i.test(user) && /^(pass(word|wd)?|pwd|pw|secret|my_?pass(word)?)$/i.test(password)
  if (/^[A-Z][A-Z_]*$/.test(password) || /^[A-Z][A-Z_]*$/.test(host)) return undefined
  if (isTemplate && /^(host(name)?|localhost|example\.\w+|server|db)$/i.test(host)) return undefined
  return {
    password,
    isGuessable: kind !== 'random' && (kind === 'placeholder' || password.toLowerCase() === user.toLowerCase()),
    isLocal: /^(localhost|127\.0\.0\.1|0\.0\.0\.0|host\.docker\.internal|[a-z0-9_-]+)$/i.test(host),
  }
}
