/**
 * A launch is a folder. Who may do what is decided by files that appear once and whole:
 *
 * 1. `launch.json`: it may be started. Written again by every start until 2 is there.
 * 2. `claim.json`: this keeper starts it, and no other. Made with link(2), which fails for everybody but the first.
 * 3. `agent.json`: this process is the agent.
 * 4. `exit.json`: nothing of it runs any more.
 *
 * Beside them: `secrets/`, `work/` (where the agent is at home) and `log/`.
 */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { codeOf, unless } from '../errors.ts'
import type { Identity } from './processes.ts'

/** What the keeper does. */
export interface LaunchRecord {
  readonly launchId: string
  readonly instanceId: string
  /** Program and arguments. */
  readonly argv: readonly [string, ...string[]]
  /** All that the agent has. */
  readonly env: Readonly<Record<string, string>>
  /** The user that the agent becomes; absent when it stays who the keeper is. */
  readonly user?: { readonly name: string; readonly uid: number; readonly gid: number }
  readonly cpu: number
  readonly memoryBytes: number
  readonly logBytesMax: number
  readonly cgroups: 'auto' | 'off'
}

export interface AgentRecord extends Identity {
  /** Control groups that hold it, as absolute paths. */
  readonly cgroups: readonly string[]
  readonly memoryLimit: 'cgroup' | 'watched'
  readonly cpuLimit: 'cgroup' | 'paused' | 'not enforced'
}

/** `exit` is null when nobody saw it end. */
export interface ExitRecord {
  readonly exit: {
    readonly reason: 'exited' | 'killed' | 'out_of_memory'
    readonly exitCode?: number
    readonly signal?: string
    /** ISO 8601. */
    readonly at: string
  } | null
}

interface Records {
  'launch.json': LaunchRecord
  'claim.json': Identity
  'agent.json': AgentRecord
  'exit.json': ExitRecord
}

export const inFolder = (folder: string) => ({
  secrets: path.join(folder, 'secrets'),
  work: path.join(folder, 'work'),
  temporary: path.join(folder, 'work', 'tmp'),
  log: path.join(folder, 'log'),
  keeperErrors: path.join(folder, 'keeper.log'),
})

/** Undefined when it is not there (yet). */
export function readRecord<K extends keyof Records>(folder: string, name: K): Records[K] | undefined {
  const text = unless(['ENOENT', 'ENOTDIR'], () => readFileSync(path.join(folder, name), 'utf8'))
  return text === undefined ? undefined : (JSON.parse(text) as Records[K])
}

/** Seen whole or not at all, also after a crash in the middle. */
export function writeRecord<K extends keyof Records>(folder: string, name: K, record: Records[K]): void {
  const draft = writeDraft(folder, name, record)
  renameSync(draft, path.join(folder, name))
}

/** False when somebody else was first. */
export function claim(folder: string, keeper: Identity): boolean {
  const draft = writeDraft(folder, 'claim.json', keeper)
  try {
    linkSync(draft, path.join(folder, 'claim.json'))
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  } finally {
    rmSync(draft, { force: true })
  }
}

function writeDraft<K extends keyof Records>(folder: string, name: K, record: Records[K]): string {
  const draft = path.join(folder, `.${name}.${process.pid}`)
  writeFileSync(draft, JSON.stringify(record), { mode: 0o600 })
  return draft
}
