import { AppError } from '@hypercode/http'
import type { Written } from '../store/journal.ts'
import { NOTHING_SAVED } from '../store/save-ledger.ts'
import type { Engine } from './engine.ts'

/** Publishes what was written, or refuses the write of an attempt that is not the current one. */
export function took<T extends object>(engine: Pick<Engine, 'after'>, written: Written<T>): T {
  if (written.kind === 'fenced') throw staleError()
  engine.after({ ...NOTHING_SAVED, outbox: written.outbox })
  return written
}

export const staleError = (): AppError =>
  new AppError('stale_attempt', { fix: 'Stop working on it: the task has ended or another attempt has taken over.' })
