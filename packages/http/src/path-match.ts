/** One registered route and who may call it. */
export interface RoutePolicy {
  readonly method: string
  /** As the router writes it. */
  readonly url: string
  /** Scopes that the token must carry, or 'public'. */
  readonly access: readonly string[] | 'public'
}

/** Methods of the routes whose path fits `url`; empty when there is none. Only the answer to a mismatch asks, so it may search. */
export function allowedMethods(table: readonly RoutePolicy[], url: string): string[] {
  const path = url.split(/[?#]/, 1)[0] ?? '/'
  const methods = table.filter((route) => regExpOf(route.url).test(path)).map((route) => route.method)
  return [...new Set(methods)].sort()
}

const compiled = new Map<string, RegExp>()

function regExpOf(url: string): RegExp {
  const known = compiled.get(url)
  if (known !== undefined) return known
  const source = url.replace(/::|:\w+(?:\(([^)]*)\))?|\*|[^:*]+/g, (part, group: string | undefined) => {
    if (part === '::') return ':'
    if (part === '*') return '.*'
    if (part.startsWith(':')) return group ?? '[^/]+'
    return part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
  })
  const made = new RegExp(`^${source}$`)
  compiled.set(url, made)
  return made
}
