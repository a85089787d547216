/** Visits every text in a JSON value. */
export function walk(value: unknown, pointer: string, visit: (pointer: string, text: string) => void): void {
  if (typeof value === 'string') visit(pointer, value)
  else if (Array.isArray(value))
    for (const [index, element] of value.entries()) walk(element, `${pointer}/${index}`, visit)
  else if (typeof value === 'object' && value !== null) {
    for (const [key, member] of Object.entries(value))
      walk(member, `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`, visit)
  }
}
