import { readFileSync } from 'node:fs'
import path from 'node:path'
import type { ServerName } from './binaries.ts'
import { codeOf } from './errors.ts'
import { writeFileAtomic } from './files.ts'
import type { ProcessIdentity } from './process-identity.ts'

/** What a later starter must know about a server: whether it lives, where it listens, and what it was started for. */
export interface ServerRecord {
  readonly port: number
  /** Undefined after a clean stop; the port is kept so that URLs stay the same. */
  readonly process: ProcessIdentity | undefined
  readonly fingerprint: string
}

export type ServerRecords = Partial<Record<ServerName, ServerRecord>>

const FILE = 'servers.json'

/** The records of the last start; empty for a new folder or a file that cannot be understood. */
export function readRecords(dir: string): ServerRecords {
  try {
    const value: unknown = JSON.parse(readFileSync(path.join(dir, FILE), 'utf8'))
    if (typeof value !== 'object' || value === null) return {}
    const entries = Object.entries(value).map(([name, record]) => [name, asRecord(record)] as const)
    return Object.fromEntries(entries.filter(([, record]) => record !== undefined)) as ServerRecords
  } catch (error) {
    // Without a record the search through /proc still finds what lives, so a damaged file is no reason to give up.
    if (codeOf(error) === 'ENOENT' || error instanceof SyntaxError) return {}
    throw error
  }
}

/** Changes one record, at once and atomically: a starter can be killed the next moment. */
export function writeRecord(dir: string, name: ServerName, record: ServerRecord): void {
  writeFileAtomic(path.join(dir, FILE), JSON.stringify({ ...readRecords(dir), [name]: record }))
}

function asRecord(value: unknown): ServerRecord | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { port, process: identity, fingerprint } = value as Record<string, unknown>
  if (typeof port !== 'number' || typeof fingerprint !== 'string') return undefined
  return { port, fingerprint, process: asIdentity(identity) }
}

function asIdentity(value: unknown): ProcessIdentity | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { pid, startTime } = value as Record<string, unknown>
  return typeof pid === 'number' && typeof startTime === 'string' ? { pid, startTime } : undefined
}
