import { createHash } from 'node:crypto'

/** JSON with the members of every object in one order, so that equal values have equal texts. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const members = Object.entries(value).filter(([, member]) => member !== undefined)
  return `{${members
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`)
    .join(',')}}`
}

/** SHA-256 in hex. */
export const hashText = (text: string): string => createHash('sha256').update(text).digest('hex')

/** What a manifest says, whatever the order of its keys and however it was written. */
export const contentHash = (value: unknown): string => hashText(canonical(value))
