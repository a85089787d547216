import type { Crash, Failure } from '@hypercode/contracts'
import type { Exit } from '../drivers/driver.ts'
import type { RestartRule } from './recipe.ts'

export type CrashDraft = Omit<Crash, 'at'>

/** Crashes that are kept of an instance. */
export const CRASHES_KEPT = 20
const DETAIL_MAX = 1000

export type AfterCrash =
  | { readonly next: 'start'; readonly inMs: number }
  | { readonly next: 'quarantine'; readonly reason: string }
  /** Its restart policy lets it go. */
  | { readonly next: 'end' }

/** What comes after a crash. `crashes` are newest first and hold this one. */
export function judgeCrash(rule: RestartRule, crashes: readonly Crash[], now: Date): AfterCrash {
  const [last] = crashes
  if (last === undefined) return { next: 'start', inMs: 0 }
  if (rule.policy === 'never' || (rule.policy === 'on-failure' && isCleanExit(last))) return { next: 'end' }
  const recent = crashes.filter((crash) => now.getTime() - Date.parse(crash.at) <= rule.windowMs).length
  if (recent >= rule.crashes) {
    const times = recent === 1 ? 'Crashed' : `Crashed ${recent} times within ${rule.windowMs / 1000} s, the last time`
    return { next: 'quarantine', reason: `${times}: ${describeCrash(last)}` }
  }
  return { next: 'start', inMs: backoffMs(rule, recent) }
}

/** 500 ms, 1 s, 2 s … by how many there have been of late, up to the longest of the rule. */
export const backoffMs = ({ initialMs, maxMs }: RestartRule, recent: number): number =>
  Math.min(maxMs, initialMs * 2 ** Math.max(0, recent - 1))

const isCleanExit = ({ reason, exitCode }: Crash): boolean => reason === 'exited' && exitCode === 0

/** The process is gone and nobody had told it to go. */
export function crashOf(exit: Exit | undefined): CrashDraft {
  if (exit === undefined) return { reason: 'killed', detail: 'It was gone, and how it ended is not known.' }
  const { reason, exitCode, signal } = exit
  return { reason, ...(exitCode !== undefined && { exitCode }), ...(signal !== undefined && { signal }) }
}

export function crashBecause(reason: Failure, detail: string): CrashDraft {
  return { reason, detail: detail.slice(0, DETAIL_MAX) }
}

const WORDS: Readonly<Record<Failure, string>> = {
  exited: 'it ended by itself',
  killed: 'it was killed',
  out_of_memory: 'it was out of memory',
  hung: 'its event loop stood still',
  silent: 'its heartbeats stayed away',
  not_ready: 'it was not ready in time',
  start_failed: 'it could not be started',
}

/** One crash in a sentence for people. */
export function describeCrash({ reason, detail, exitCode, signal }: CrashDraft): string {
  const how = exitCode === undefined ? signal : `exit code ${exitCode}`
  return `${WORDS[reason]}${how === undefined ? '' : ` (${how})`}${detail === undefined ? '.' : `. ${detail}`}`
}
