import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { writeFileAtomic } from './files.ts'
import { FolderInUseError, StackError, codeOf, messageOf } from './errors.ts'
import { identify, isAlive } from './process-identity.ts'

/** What the owner of a folder is doing, for the message that another starter gets. */
export type OwnerPhase = 'starting' | 'up' | 'stopping'

export interface FolderLock {
  /** Says what we are doing with the folder. */
  mark(phase: OwnerPhase): void
  release(): void
}

/**
 * Owns a folder until `release()` or until this process ends, however it ends.
 *
 * A lock file that holds a process id has to be judged and removed by the next starter, and two of those can
 * judge at once. The kernel's file locks have no such gap: they vanish with their process. Node offers none itself,
 * but its SQLite takes one, so an open exclusive transaction on `<dir>/lock` is the lock.
 *
 * @param waitMs how long to wait for an owner that is starting or stopping; an owner that is up is not waited for
 * @throws {FolderInUseError} when another process keeps the folder
 */
export async function lockFolder(dir: string, waitMs: number): Promise<FolderLock> {
  mkdirSync(dir, { recursive: true })
  const ownerFile = path.join(dir, 'owner.json')
  const self = identify(process.pid)
  const deadline = Date.now() + waitMs
  for (;;) {
    const database = tryLock(path.join(dir, 'lock'))
    if (database !== undefined) {
      const mark = (phase: OwnerPhase): void =>
        writeFileAtomic(ownerFile, JSON.stringify({ ...self, phase, since: new Date().toISOString() }))
      mark('starting')
      let held = true
      return {
        mark,
        release: () => {
          if (!held) return
          held = false
          rmSync(ownerFile, { force: true })
          database.close()
        },
      }
    }
    const owner = readOwner(ownerFile)
    if (owner?.phase === 'up' || Date.now() >= deadline) {
      const who = owner === undefined ? 'another process' : `process ${owner.pid}`
      throw new FolderInUseError(
        `${dir} is in use by ${who}: stop that first (Ctrl-C, or kill ${owner?.pid ?? 'it'})`,
        owner?.pid,
      )
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

function tryLock(file: string): DatabaseSync | undefined {
  const database = openDatabase(file)
  try {
    database.exec('begin exclusive')
    return database
  } catch (error) {
    database.close()
    if (/locked|busy/i.test(messageOf(error))) return undefined
    throw new StackError(`${file} cannot be locked (${messageOf(error)}): does the folder belong to another user?`)
  }
}

function openDatabase(file: string): DatabaseSync {
  try {
    return new DatabaseSync(file, { timeout: 0 })
  } catch (error) {
    throw new StackError(`${file} cannot be opened (${messageOf(error)}): does the folder belong to another user?`)
  }
}

/**
 * Who says that the folder is theirs. Undefined when nobody does who lives: what a killed owner has written stays until the
 * next one, who may hold the lock already, has written its own.
 */
function readOwner(file: string): { pid: number; phase: OwnerPhase } | undefined {
  try {
    const owner: unknown = JSON.parse(readFileSync(file, 'utf8'))
    if (typeof owner !== 'object' || owner === null) return undefined
    const { pid, startTime, phase } = owner as Record<string, unknown>
    if (typeof pid !== 'number' || typeof startTime !== 'string' || !isAlive({ pid, startTime })) return undefined
    return phase === 'starting' || phase === 'up' || phase === 'stopping' ? { pid, phase } : undefined
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined // it was released between our two looks
    throw error
  }
}
