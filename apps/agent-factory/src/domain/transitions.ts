/** How a row changes when something has happened to its instance. Pure; what is not named stays as it is. */
import type { Crash, FleetEventName, Lifecycle } from '@hypercode/contracts'
import type { Handle } from '../drivers/driver.ts'
import { CRASHES_KEPT, describeCrash, judgeCrash } from './crashes.ts'
import type { CrashDraft } from './crashes.ts'
import type { FactoryInstance } from './factory-instance.ts'
import { afterCrash, intoQuarantine, intoTheGround, startLife, walk } from './life.ts'

export interface Change {
  readonly lifecycle: Lifecycle
  readonly desired?: FactoryInstance['desired']
  readonly reason?: string | null
  readonly launch?: 'keep' | 'gone' | { readonly launchId: string; readonly host: string; readonly secretHash: Buffer }
  readonly handle?: Handle
  /** Until the next start may be, in milliseconds from now. */
  readonly dueInMs?: number
  readonly crashes?: readonly Crash[]
  /** `asleep`: its launch is no start any more that could make it ready. */
  readonly ready?: 'now' | 'no' | 'asleep'
  /** Keep the last lines of its log with it, or forget those that were kept. */
  readonly lastLines?: 'keep' | 'forget'
  /** It is over: its credential is revoked. */
  readonly isOver?: true
  readonly event?: { readonly type: FleetEventName; readonly body: Readonly<Record<string, unknown>> }
}

export function launched(
  instance: FactoryInstance,
  launch: { launchId: string; host: string; secretHash: Buffer },
): Change {
  const reason = instance.lifecycle === 'hibernating' ? 'It is being woken.' : null
  return { lifecycle: startLife(instance.lifecycle), launch, ready: 'no', reason }
}

/** The driver has started the process, or has found the one that somebody before us started. */
export function started({ lifecycle }: FactoryInstance, handle: Handle): Change {
  return { lifecycle: lifecycle === 'provisioning' ? walk(lifecycle, 'warming') : lifecycle, handle }
}

/** Its first passing beat: a member takes work from now on, a spare is warm and waits. */
export function passed(instance: FactoryInstance): Change {
  if (instance.role === 'spare') return { lifecycle: instance.lifecycle, ready: 'now', reason: null }
  const event = { type: 'instance.ready' as const, body: { afterMs: instance.sinceStartMs, starts: instance.starts } }
  return { lifecycle: walk(instance.lifecycle, 'ready'), ready: 'now', reason: null, event }
}

/** `launch` is kept when its process still has to be killed; the row has moved on all the same. */
export function crashed(instance: FactoryInstance, draft: CrashDraft, launch: 'keep' | 'gone'): Change {
  const crash: Crash = { at: instance.now.toISOString(), ...draft }
  const crashes = [crash, ...instance.crashes].slice(0, CRASHES_KEPT)
  const verdict = judgeCrash(instance.recipe.restart, crashes, instance.now)
  const body = { ...draft, next: verdict.next }
  const common = { launch, crashes, ready: 'no' } as const
  if (verdict.next === 'quarantine') {
    return {
      ...common,
      lifecycle: intoQuarantine(instance.lifecycle),
      reason: verdict.reason,
      lastLines: 'keep',
      event: { type: 'instance.quarantined', body: { ...body, reason: verdict.reason, failure: draft.reason } },
    }
  }
  const event = { type: 'instance.crashed', body } as const
  const reason = describeCrash(draft)
  if (verdict.next === 'end') {
    const lifecycle = intoTheGround(afterCrash(instance.lifecycle))
    return {
      ...common,
      lifecycle,
      desired: 'stopped',
      reason,
      event,
      ...(launch === 'gone' && { isOver: true as const }),
    }
  }
  return { ...common, lifecycle: afterCrash(instance.lifecycle), dueInMs: verdict.inMs, reason, event }
}

/** Nothing of its process is left, and that was wanted. */
export function ended(instance: FactoryInstance): Change {
  if (instance.desired === 'stopped') return buried(instance)
  if (instance.lifecycle === 'hibernating') {
    const event = { type: 'instance.hibernated' as const, body: {} }
    return {
      lifecycle: 'hibernating',
      launch: 'gone',
      ready: 'no',
      ...(instance.desired === 'hibernating' && { event }),
    }
  }
  const lifecycle = instance.lifecycle === 'draining' ? walk('draining', 'stopped') : instance.lifecycle
  return { lifecycle, launch: 'gone', ready: 'no' }
}

export function buried(instance: FactoryInstance): Change {
  const lifecycle = intoTheGround(instance.lifecycle)
  return {
    lifecycle,
    launch: 'gone',
    ready: 'no',
    isOver: true,
    event: { type: 'instance.stopped', body: { lifecycle } },
  }
}

/** The engine is about to end its process for good. */
export function leaving({ lifecycle }: FactoryInstance): Change | undefined {
  if (lifecycle === 'draining' || lifecycle === 'hibernating') return undefined
  return {
    lifecycle: lifecycle === 'provisioning' ? walk(lifecycle, 'warming', 'draining') : walk(lifecycle, 'draining'),
  }
}

/** Its process was ended because the factory ends with all that it runs; the next factory starts it anew. */
export function parked(instance: FactoryInstance): Change {
  if (instance.desired === 'stopped' || instance.lifecycle === 'draining') return ended(instance)
  const hasLife = instance.lifecycle === 'ready' || instance.lifecycle === 'warming'
  const lifecycle = hasLife ? walk(instance.lifecycle, 'draining', 'stopped') : instance.lifecycle
  return { lifecycle, launch: 'gone', ready: 'no', reason: 'The factory was stopped, and all that it ran with it.' }
}
