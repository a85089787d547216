import type { AuditConfidence, AuditPriority } from '@hypercode/contracts'
import type { Rule } from '../rule.ts'
import type { Nature } from './names.ts'
import { NO_AUTHENTICATION, NO_SIGNATURE, NO_WEBSOCKET_AUTHENTICATION } from './rules.ts'

/** An endpoint that anybody may call, and how sure that is. */
export interface OpenEndpoint {
  readonly file: string
  readonly line: number
  readonly nature: Exclude<Nature, 'public'>
  readonly method: string
  readonly path: string
  readonly isWebSocket: boolean
  /** It is mounted, and every part of the way to it was read. */
  readonly isCertain: boolean
  /** It may be checked where nobody looked: it takes something like a token, or is a form with a session. */
  readonly isDoubtful: boolean
}

export interface Judgement {
  readonly rule: Rule
  readonly title: string
  readonly priority: AuditPriority
  readonly confidence: AuditConfidence
}

export function judgeEndpoint(open: OpenEndpoint): Judgement {
  const where = `${open.method} ${open.path.length > 80 ? `${open.path.slice(0, 80)}…` : open.path}`
  if (open.isWebSocket) {
    const confidence = open.isDoubtful ? 'low' : 'medium'
    return { rule: NO_WEBSOCKET_AUTHENTICATION, title: `${where} accepts anybody`, priority: 'P1', confidence }
  }
  if (open.nature === 'webhook')
    return { rule: NO_SIGNATURE, title: `${where} does not check who calls it`, priority: 'P1', confidence: 'medium' }
  const title = `${where} has no authentication`
  if (open.isDoubtful) return { rule: NO_AUTHENTICATION, title, priority: 'P1', confidence: 'low' }
  if (open.nature === 'query') return { rule: NO_AUTHENTICATION, title, priority: 'P1', confidence: 'medium' }
  return { rule: NO_AUTHENTICATION, title, priority: 'P0', confidence: open.isCertain ? 'high' : 'medium' }
}
