import { parseHints, tailStream } from '@hypercode/events'
import type { Keys, Tail } from '@hypercode/events'
import type { Loops } from '@hypercode/http'
import type { Logger } from '@hypercode/telemetry'
import type { EventHub } from './event-hub.ts'

/** Topic of a mission's events, and of the events of a tenant's agents. */
export const missionTopic = (missionId: string): string => `mission/${missionId}`
export const agentsTopic = (tenantId: string): string => `agents/${tenantId}`

export interface NewsOptions {
  readonly hub: EventHub
  readonly loops: Loops
  /** `lookAgain` is set by whoever failed to read; the next tick wakes everybody, although the hints come in. */
  readonly state: { lookAgain: boolean }
  readonly redisUrl: string
  readonly keys: Keys
  readonly log: Logger
}

export interface News {
  stop(): Promise<void>
}

const TICK_MS = 1000
const BEAT_MS = 15_000
/** Who watches a stream sees no difference. */
const PACE_MS = 25
/** Hints can be lost without a trace, so everybody looks this often in any case. */
const SLOW_POLL_MS = 10_000

/**
 * Tells the open streams when to look: at once when a hint comes in over Redis, every second while Redis is away, and every ten seconds
 * in any case. The hints wake, they are never sent, so a lost, doubled or forged one changes nothing.
 */
export function startNews({ hub, loops, state, redisUrl, keys, log }: NewsOptions): News {
  let polledAt = performance.now()
  let beatAt = performance.now()

  const tail: Tail = tailStream({
    url: redisUrl,
    stream: keys.events,
    onEntry: (fields) => {
      for (const hint of parseHints(fields['hints'])) {
        hub.wake(hint.kind === 'mission' ? missionTopic(hint.missionId) : agentsTopic(hint.tenantId))
      }
    },
    onGap: () => hub.wakeAll(),
    onError: (err) => log.debug({ err }, 'event hints interrupted'),
    paceMs: PACE_MS,
  })

  loops.start('event-streams', {
    everyMs: TICK_MS,
    run: async () => {
      const now = performance.now()
      hub.review()
      if (now - beatAt >= BEAT_MS) {
        beatAt = now
        hub.beat()
      }
      if (!tail.connected || state.lookAgain || now - polledAt >= SLOW_POLL_MS) {
        polledAt = now
        state.lookAgain = false
        hub.wakeAll()
      }
    },
  })

  return { stop: async () => await tail.stop() }
}
