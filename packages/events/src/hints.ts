/**
 * What travels on the event stream: ids, numbers and words of state, never a payload. A reader that cares reads Postgres.
 */
export type Hint = MissionHint | AgentHint

/** The mission has events up to `seq`. */
export interface MissionHint {
  kind: 'mission'
  tenantId: string
  missionId: string
  seq: number
  correlationId: string
  /** Set when the mission has reached its final state. */
  ended?: true
}

/** The agents of the tenant have events up to `seq`. */
export interface AgentHint {
  kind: 'agents'
  tenantId: string
  seq: number
}

/** Most hints that one stream entry carries. */
export const HINTS_PER_ENTRY = 500

/** Reads the hints of an entry; whatever is not ours is dropped, since a stream entry is never trusted. */
export function parseHints(text: string | undefined): Hint[] {
  if (text === undefined) return []
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return []
    throw error
  }
  return Array.isArray(parsed) ? parsed.filter(isHint) : []
}

function isHint(value: unknown): value is Hint {
  if (typeof value !== 'object' || value === null) return false
  const hint = value as Record<string, unknown>
  if (typeof hint['tenantId'] !== 'string' || !Number.isSafeInteger(hint['seq'])) return false
  return hint['kind'] === 'agents' || (hint['kind'] === 'mission' && isOfMission(hint))
}

const isOfMission = (hint: Record<string, unknown>): boolean =>
  typeof hint['missionId'] === 'string' &&
  typeof hint['correlationId'] === 'string' &&
  (hint['ended'] === undefined || hint['ended'] === true)
