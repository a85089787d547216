import { rmSync } from 'node:fs'
import { identify } from '@hypercode/local-stack'
import { STATE_FILE } from './checkout.ts'
import { readJsonFile, writePrivateFile } from './private-file.ts'

/** What is up and where. It holds no secret. */
export interface PlatformState {
  readonly urls: Readonly<Record<string, string>>
  readonly ports: Readonly<Record<string, number>>
  readonly pids: Readonly<Record<string, number>>
  readonly startedAt: string
}

export function writeState(state: PlatformState): void {
  writePrivateFile(STATE_FILE, `${JSON.stringify(state, null, 2)}\n`)
}

export function removeState(): void {
  rmSync(STATE_FILE, { force: true })
}

/** The state of the platform that is up; undefined when none is. A file that a crash left behind counts as none. */
export function readState(): PlatformState | undefined {
  const value = readJsonFile(STATE_FILE)
  if (typeof value !== 'object' || value === null) return undefined
  const { urls, ports, pids, startedAt } = value as Record<string, unknown>
  if (!isRecordOf(urls, 'string') || !isRecordOf(ports, 'number') || !isRecordOf(pids, 'number')) return undefined
  if (typeof startedAt !== 'string') return undefined
  const isLiving = (pid: number | undefined): boolean => pid !== undefined && identify(pid) !== undefined
  if (!isLiving(pids['starter']) && !isLiving(pids['gateway'])) return undefined
  return { urls, ports, pids, startedAt }
}

function isRecordOf(value: unknown, kind: 'string'): value is Record<string, string>
function isRecordOf(value: unknown, kind: 'number'): value is Record<string, number>
function isRecordOf(value: unknown, kind: 'string' | 'number'): boolean {
  return typeof value === 'object' && value !== null && Object.values(value).every((entry) => typeof entry === kind)
}
