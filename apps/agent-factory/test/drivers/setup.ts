import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { waitFor } from '@hypercode/testkit/tools'
import { test as base } from 'vitest'
import type { ProcessDriverConfig } from '../../src/drivers/config.ts'
import type { Driver, Exit, Handle, Launch } from '../../src/drivers/driver.ts'
import { createProcessDriver } from '../../src/drivers/process/process-driver.ts'

export const MIB = 1024 * 1024
export const AGENT = fileURLToPath(new URL('./agents/agent.ts', import.meta.url))
export const isRoot = process.getuid?.() === 0
export const hasProc = process.platform === 'linux'

const NOBODY = { uid: 65_534, gid: 65_534 }
/** A checkout in a folder that only root may enter cannot be run by anybody else. */
const nobodyCanRead =
  isRoot && [AGENT, process.execPath].every((file) => spawnSync('/usr/bin/test', ['-r', file], NOBODY).status === 0)

export const runAs = nobodyCanRead ? 'nobody' : 'root'

export const test = base
  /** A folder that every user can enter. */
  .extend('folder', async ({ task }, { onCleanup }) => {
    const folder = await mkdtemp(path.join(tmpdir(), `hypercode-drivers-${task.id}-`))
    await chmod(folder, 0o755)
    onCleanup(async () => await rm(folder, { recursive: true, force: true }))
    return folder
  })
  .extend('config', ({ folder }): ProcessDriverConfig => ({ folder, host: 'test-host', runAs, modulesFrom: [folder] }))
  /** Whatever runs at the end of a test is ended. */
  .extend('driver', async ({ config }, { onCleanup }) => {
    const driver = createProcessDriver(config)
    onCleanup(async () => {
      for (const handle of await driver.list()) await driver.kill(handle)
    })
    return driver
  })

export function launchOf(args: readonly string[], more: Partial<Launch> = {}): Launch {
  return {
    launchId: randomUUID(),
    instanceId: randomUUID(),
    tenantId: randomUUID(),
    blueprint: 'tester',
    version: 1,
    entry: { path: AGENT },
    args,
    env: {},
    secrets: {},
    cpu: 1,
    memoryBytes: 256 * MIB,
    labels: {},
    ...more,
  }
}

export const never = (): AbortSignal => new AbortController().signal

/** Everything from the beginning. */
export async function logOf(driver: Driver, handle: Handle): Promise<Record<string, unknown>[]> {
  const { lines } = await driver.readLogs(handle, 0, 10_000)
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
}

export async function untilSays(driver: Driver, handle: Handle, msg: string): Promise<Record<string, unknown>> {
  const find = async () => (await logOf(driver, handle)).find((line) => line['msg'] === msg)
  return await waitFor(find, { what: `the line "${msg}"`, timeoutMs: 30_000 })
}

/** Starts one and waits until it says so. */
export async function startAgent(driver: Driver, args: readonly string[], more: Partial<Launch> = {}): Promise<Handle> {
  const handle = await driver.start(launchOf(args, more), never())
  await untilSays(driver, handle, 'started')
  return handle
}

export async function exitOf(driver: Driver, handle: Handle): Promise<Exit | undefined> {
  const ended = await waitFor(
    async () => {
      const status = await driver.inspect(handle)
      return status.state === 'ended' && status
    },
    { what: 'the agent has ended', timeoutMs: 15_000 },
  )
  return ended.exit
}

export function isRunning(pid: number): boolean {
  const ps = spawnSync('/bin/ps', ['-o', 'stat=', '-p', `${pid}`], { encoding: 'utf8' })
  return ps.status === 0 && !ps.stdout.trim().startsWith('Z')
}
