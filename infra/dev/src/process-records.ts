import path from 'node:path'
import type { ProcessIdentity } from '@hypercode/local-stack'
import { isAlive, signalProcess, waitGone } from '@hypercode/local-stack'
import { readJsonFile, writePrivateFile } from './private-file.ts'

/** The service processes of this checkout on disk, so that a start after a crash of the starter can end them first. */
export interface ProcessRecords {
  set(name: string, identity: ProcessIdentity): void
  remove(name: string): void
  /** Ends what an earlier starter left, oldest knowledge first. Answers the names of those that lived. */
  stopLeftovers(graceMs: number): Promise<string[]>
}

export function openProcessRecords(dir: string): ProcessRecords {
  const file = path.join(dir, 'processes.json')
  const records = new Map(read(file))
  const save = (): void => writePrivateFile(file, JSON.stringify(Object.fromEntries(records)))
  return {
    set(name, identity) {
      records.set(name, identity)
      save()
    },
    remove(name) {
      records.delete(name)
      save()
    },
    async stopLeftovers(graceMs) {
      const living = [...records].filter(([, identity]) => isAlive(identity))
      await Promise.all(living.map(async ([, identity]) => await end(identity, graceMs)))
      records.clear()
      save()
      return living.map(([name]) => name)
    },
  }
}

async function end(identity: ProcessIdentity, graceMs: number): Promise<void> {
  signalProcess(identity, 'SIGCONT')
  signalProcess(identity, 'SIGTERM')
  if (await waitGone(identity, graceMs)) return
  signalProcess(identity, 'SIGKILL')
  if (!(await waitGone(identity, 5_000))) throw new Error(`process ${identity.pid} of an earlier run cannot be stopped`)
}

function read(file: string): [string, ProcessIdentity][] {
  const value = readJsonFile(file)
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, identity]: [string, unknown]) => {
    if (typeof identity !== 'object' || identity === null) return []
    const { pid, startTime } = identity as Record<string, unknown>
    return typeof pid === 'number' && typeof startTime === 'string' ? [[name, { pid, startTime }]] : []
  })
}
