import { readdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { hostname } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ProcessDriverConfig } from '../config.ts'
import type { Driver, Handle, Launch, Status } from '../driver.ts'
import { unless } from '../errors.ts'
import { checkLaunchId, isLaunchId, ownershipOf } from '../ownership.ts'
import { memoryOfCgroups, removeCgroups } from './cgroup.ts'
import { killLaunch } from './kill-launch.ts'
import type { Traces } from './kill-launch.ts'
import { inFolder, readRecord, writeRecord } from './launch-folder.ts'
import type { ExitRecord } from './launch-folder.ts'
import { readLog } from './log-files.ts'
import { prepareLaunch } from './prepare-launch.ts'
import { isAlive, launchProcesses, memoryOf, signalProcess } from './processes.ts'
import type { Identity } from './processes.ts'
import { hasBegun, startKeeper, waitBegun } from './start-keeper.ts'

const LOOK_EVERY_MS = 20
/** After the last process is gone, the keeper writes down how it ended. */
const RECORDED_WITHIN_MS = 10_000

/**
 * Runs agents as processes of this machine, each with a keeper beside it and a folder of its own, from which any factory of
 * this machine finds everything again.
 */
export function createProcessDriver(config: ProcessDriverConfig): Driver {
  const host = config.host ?? hostname()
  const launches = path.join(config.folder, 'launches')
  const keeperCache = path.join(config.folder, 'keeper-cache')
  const ours = ownershipOf('process', host)
  const folderOf = (launchId: string): string => path.join(launches, checkLaunchId(launchId))
  const ownFolderOf = (handle: Handle): string => folderOf(ours.require(handle))

  return {
    name: 'process',
    host,

    start: async (launch: Launch, signal: AbortSignal) => {
      signal.throwIfAborted()
      const folder = folderOf(launch.launchId)
      if (readRecord(folder, 'claim.json') === undefined) {
        await prepareLaunch(folder, launch, config)
        signal.throwIfAborted()
        await waitBegun(folder, signal, startKeeper(folder, keeperCache))
      } else await waitBegun(folder, signal)
      const handle = handleOf(host, folder)
      if (handle === undefined) throw new Error(`launch ${launch.launchId} was forgotten while it started`)
      return handle
    },

    inspect: async (handle) =>
      ours.isForeign(handle) ? { state: 'unknown' } : await inspect(folderOf(handle.launchId), handle),

    list: async () => {
      const names = unless(['ENOENT'], () => readdirSync(launches)) ?? []
      const handles: (Handle | undefined)[] = []
      for (const folder of names.filter(isLaunchId).map(folderOf)) {
        if (hasBegun(folder) && (await endingOf(folder)) === undefined) handles.push(handleOf(host, folder))
      }
      // One that is being forgotten meanwhile has none.
      return handles.filter((handle) => handle !== undefined)
    },

    stop: async (handle, graceMs) => {
      const folder = ownFolderOf(handle)
      const agent = readRecord(folder, 'agent.json') ?? identityIn(handle)
      if (agent !== undefined && signalProcess(agent, 'SIGTERM')) await untilEnded(folder, handle, graceMs)
      await kill(folder, handle)
    },

    kill: async (handle) => await kill(ownFolderOf(handle), handle),

    readLogs: async (handle, cursor, limit) => readLog(inFolder(ownFolderOf(handle)).log, cursor, limit),

    forget: async (handle) => {
      const folder = ownFolderOf(handle)
      if ((await inspect(folder, handle)).state !== 'ended') throw new Error(`launch ${handle.launchId} is running`)
      await rm(folder, { recursive: true, force: true })
    },

    close: async () => undefined,
  }
}

function handleOf(host: string, folder: string): Handle | undefined {
  const launch = readRecord(folder, 'launch.json')
  const agent = readRecord(folder, 'agent.json')
  if (launch === undefined) return undefined
  return {
    driver: 'process',
    host,
    launchId: launch.launchId,
    instanceId: launch.instanceId,
    ...(launch.user && { user: launch.user.name }),
    // Absent when it could not even be started.
    ...(agent && {
      pid: agent.pid,
      startTime: agent.startTime,
      memoryLimit: agent.memoryLimit,
      cpuLimit: agent.cpuLimit,
    }),
  }
}

async function inspect(folder: string, handle: Handle): Promise<Status> {
  const ending = await endingOf(folder, identityIn(handle))
  if (ending !== undefined) {
    return { state: 'ended', exit: ending.exit === null ? undefined : { ...ending.exit, at: new Date(ending.exit.at) } }
  }
  const agent = readRecord(folder, 'agent.json')
  if (agent === undefined) return { state: 'running' }
  return { state: 'running', memoryBytes: memoryOfCgroups(agent.cgroups) ?? memoryOf(launchProcesses(agent)) }
}

/**
 * How it ended, undefined as long as it runs. Without its keeper an agent has no limits, and nobody reads its output: what
 * is left of it is ended here.
 */
async function endingOf(folder: string, known?: Identity): Promise<ExitRecord | undefined> {
  const claim = readRecord(folder, 'claim.json')
  if (claim !== undefined && isAlive(claim)) return readRecord(folder, 'exit.json')
  const ending = readRecord(folder, 'exit.json')
  if (ending !== undefined) return ending
  const traces = tracesOf(folder, known)
  await killLaunch(traces)
  await removeCgroups(traces.cgroups)
  await rm(inFolder(folder).secrets, { recursive: true, force: true })
  if (claim !== undefined) writeRecord(folder, 'exit.json', { exit: null })
  return { exit: null }
}

async function kill(folder: string, handle: Handle): Promise<void> {
  if ((await endingOf(folder, identityIn(handle))) !== undefined) return
  await killLaunch(tracesOf(folder, identityIn(handle)))
  if (await untilEnded(folder, handle, RECORDED_WITHIN_MS)) return
  throw new Error(`the keeper of launch ${handle.launchId} does not end`)
}

function tracesOf(folder: string, known: Identity | undefined): Traces {
  const agent = readRecord(folder, 'agent.json')
  return { agent: agent ?? known, cgroups: agent?.cgroups ?? [], home: inFolder(folder).work }
}

async function untilEnded(folder: string, handle: Handle, waitMs: number): Promise<boolean> {
  const deadline = performance.now() + waitMs
  while ((await endingOf(folder, identityIn(handle))) === undefined) {
    if (performance.now() > deadline) return false
    await sleep(LOOK_EVERY_MS)
  }
  return true
}

function identityIn({ pid, startTime }: Handle): Identity | undefined {
  return typeof pid === 'number' && typeof startTime === 'string' ? { pid, startTime } : undefined
}
