const SHAPE = {
  'postgres-url': { protocols: ['postgres:', 'postgresql:'], problem: 'is not a postgres:// URL with a host' },
  'redis-url': { protocols: ['redis:', 'rediss:'], problem: 'is not a redis:// or rediss:// URL with a host' },
} as const

/** What is wrong with the shape of a URL, `undefined` when it has the right one. */
export function urlFault(value: string, kind: keyof typeof SHAPE): string | undefined {
  const shape = SHAPE[kind]
  const url = parse(value)
  if (url === undefined || !shape.protocols.some((known) => known === url.protocol) || url.hostname === '') {
    return shape.problem
  }
  if (decode(url.password) === undefined || decode(url.username) === undefined) {
    return 'holds a percent sign that is not followed by two hex digits'
  }
  if (kind === 'postgres-url' && url.pathname.length < 2) return 'names no database'
  if (kind === 'redis-url' && !/^\/?\d*$/.test(url.pathname)) return 'names a database that is not a number'
  return undefined
}

/** The decoded password of a URL, also when it is given as `?password=`; `undefined` when there is none. */
export function passwordOf(value: string): string | undefined {
  const url = parse(value)
  if (url === undefined) return undefined
  const password = url.password === '' ? url.searchParams.get('password') : decode(url.password)
  return password === null || password === '' ? undefined : password
}

/** The decoded user name of a URL, empty when there is none. */
export function userOf(value: string): string {
  return decode(parse(value)?.username ?? '') ?? ''
}

/** The URL with `[secret]` in place of its password, wherever it stands. */
export function maskUrl(value: string): string {
  const url = parse(value)
  if (url === undefined) return '[secret]'
  const login = url.username === '' && url.password === '' ? '' : `${url.username}${url.password && ':[secret]'}@`
  const query = [...url.searchParams].map(
    ([name, text]) => `${name}=${/pass|secret|key|token/i.test(name) ? '[secret]' : text}`,
  )
  return `${url.protocol}//${login}${url.host}${url.pathname}${query.length > 0 ? `?${query.join('&')}` : ''}`
}

function parse(value: string): URL | undefined {
  return URL.canParse(value) ? new URL(value) : undefined
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined // a malformed escape; the caller says so without the text
  }
}
