import { constants } from 'node:os'
import type { Exit } from './driver.ts'

export interface ContainerEnd {
  /** What the container runtime tells: 128 + n for signal n. */
  readonly code: number
  /** The kernel ended it for holding too much. */
  readonly outOfMemory: boolean
  /** V8 said that its heap is full. */
  readonly heapFull: boolean
  readonly at: Date
}

// Of two names for one signal the first is the usual one (SIGABRT, not SIGIOT), so it is set last.
const SIGNALS = new Map(
  Object.entries(constants.signals)
    .map(([name, number]) => [number, name] as const)
    .reverse(),
)
/**
 * How a process ends whose V8 has a full heap; each may mean anything else, too. The first process of a container cannot be
 * aborted, so there the attempt ends in a segmentation fault.
 */
const ABORTS: readonly (string | undefined)[] = ['SIGABRT', 'SIGTRAP', 'SIGILL', 'SIGSEGV']

/** The signal that a runtime or a shell tells of as 128 + n. */
export const signalIn = (code: number): string | undefined => (code > 128 ? SIGNALS.get(code - 128) : undefined)

export const isAbort = (signal: string | undefined): boolean => ABORTS.includes(signal)

export function exitFrom({ code, outOfMemory, heapFull, at }: ContainerEnd): Exit {
  const signal = signalIn(code)
  const tooMuch = outOfMemory || (heapFull && isAbort(signal))
  return {
    reason: tooMuch ? 'out_of_memory' : signal === undefined ? 'exited' : 'killed',
    exitCode: code,
    ...(signal !== undefined && { signal }),
    at,
  }
}
