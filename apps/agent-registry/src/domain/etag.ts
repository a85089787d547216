/** The entity tag of an agent: its row version as HTTP writes it, `"3"`. */
export const etagOf = (rowVersion: number): string => `"${rowVersion}"`

/** Whether an If-Match header allows a change of this version. Takes `*`, lists, and tags without their quotes. */
export function ifMatchAllows(header: string, rowVersion: number): boolean {
  return header.split(',').some((entry) => {
    const tag = entry.trim()
    return tag === '*' || tag.replace(/^W\//, '').replaceAll('"', '') === String(rowVersion)
  })
}
