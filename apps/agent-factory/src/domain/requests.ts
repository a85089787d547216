/** What people ask of an instance. Pure: a change of its row, none when it is so already, or the reason why not. */
import { MoveRefused, isTerminal } from '@hypercode/base-agent/lifecycle'
import type { Lifecycle } from '@hypercode/contracts'
import { walk } from './life.ts'
import type { Change } from './transitions.ts'

export interface Asked {
  readonly lifecycle: Lifecycle
  readonly desired: 'running' | 'hibernating' | 'stopped'
  readonly role: 'member' | 'spare'
  readonly isOver: boolean
}

export type Answer = { readonly change: Change | undefined } | { readonly refused: string; readonly fix?: string }

export type RequestName = 'stop' | 'restart' | 'kill' | 'hibernate' | 'wake' | 'release'

/** A move that the lifecycle table does not know is refused in its words. */
export function answerRequest(name: RequestName, asked: Asked): Answer {
  try {
    return REQUESTS[name](asked)
  } catch (error) {
    if (!(error instanceof MoveRefused)) throw error
    return { refused: `The ${error.message}.` }
  }
}

const REQUESTS: Readonly<Record<RequestName, (asked: Asked) => Answer>> = {
  stop,
  restart,
  kill,
  hibernate,
  wake,
  release,
}

function stop({ lifecycle, desired, isOver }: Asked): Answer {
  if (isOver || desired === 'stopped') return { change: undefined }
  const goesFirst = !isTerminal(lifecycle) && lifecycle !== 'provisioning' && lifecycle !== 'draining'
  return {
    change: { lifecycle: goesFirst ? walk(lifecycle, 'draining') : lifecycle, desired: 'stopped', reason: null },
  }
}

function restart(asked: Asked): Answer {
  const refusal = whyNoRestart(asked)
  if (refusal !== undefined) return refusal
  // Nothing runs: it need not wait any longer.
  if (asked.lifecycle === 'unhealthy' || isTerminal(asked.lifecycle)) {
    return { change: { lifecycle: asked.lifecycle, dueInMs: 0 } }
  }
  return { change: { lifecycle: walk(asked.lifecycle, 'draining'), reason: 'It is restarted as asked.', ready: 'no' } }
}

function kill(asked: Asked): Answer {
  const refusal = whyNoRestart(asked)
  if (refusal !== undefined) return refusal
  const { lifecycle } = asked
  const given = { reason: 'It was killed as asked, and is replaced.', dueInMs: 0, ready: 'no' } as const
  if (lifecycle === 'unhealthy' || isTerminal(lifecycle)) return { change: { lifecycle, dueInMs: 0 } }
  return { change: { lifecycle: walk(lifecycle, lifecycle === 'ready' ? 'unhealthy' : 'failed'), ...given } }
}

function whyNoRestart({ lifecycle, desired, isOver }: Asked): Answer | undefined {
  if (isOver || desired === 'stopped')
    return { refused: 'The instance has ended, or is ending.', fix: 'Spawn another.' }
  if (lifecycle === 'hibernating') return { refused: 'The instance sleeps.', fix: 'Wake it.' }
  if (lifecycle === 'quarantined') return { refused: 'The instance is in quarantine.', fix: 'Release it.' }
  return undefined
}

function hibernate({ lifecycle, desired, role }: Asked): Answer {
  if (lifecycle === 'hibernating' && desired === 'hibernating') return { change: undefined }
  if (role === 'spare') return { refused: 'A spare is kept warm; it takes no work that it could rest from.' }
  return {
    change: { lifecycle: walk(lifecycle, 'hibernating'), desired: 'hibernating', reason: null, ready: 'asleep' },
  }
}

function wake({ lifecycle, desired }: Asked): Answer {
  if (lifecycle !== 'hibernating') return { refused: `The instance is ${lifecycle}, it does not sleep.` }
  if (desired === 'running') return { change: undefined }
  return { change: { lifecycle, desired: 'running', reason: 'It is being woken.', dueInMs: 0 } }
}

function release({ lifecycle }: Asked): Answer {
  if (lifecycle !== 'quarantined') return { refused: `The instance is ${lifecycle}, not in quarantine.` }
  const fresh = { crashes: [], lastLines: 'forget', dueInMs: 0, reason: null } as const
  return { change: { lifecycle: walk(lifecycle, 'provisioning'), ...fresh } }
}
