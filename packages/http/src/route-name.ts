const names = new Map<string, string>()

/** A route as logs and metrics name it: as the router writes it, without the expressions that its parameters have to match. */
export function routeName(url: string): string {
  const known = names.get(url)
  if (known !== undefined) return known
  const name = url.replace(/\([^)]*\)/g, '')
  names.set(url, name)
  return name
}
