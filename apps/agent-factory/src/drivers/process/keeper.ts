/**
 * The program that stands beside each agent: `node keeper.js FOLDER`. It claims the launch in the folder, starts the agent
 * within its limits, writes its output to files, and writes down how it ended. It outlives the factory, so nothing of that
 * depends on the factory being there. All that it is told stands in the folder.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import { isAbort, signalIn } from '../exit-status.ts'
import { logLine, tellsOfFullHeap } from '../log-line.ts'
import { findCgroupPlaces } from './cgroup-places.ts'
import { makeCgroup, outOfMemoryKills, removeCgroups } from './cgroup.ts'
import type { LaunchCgroup } from './cgroup.ts'
import { canPause, enforceByWatching } from './fallback-limits.ts'
import { killLaunch } from './kill-launch.ts'
import { claim, inFolder, readRecord, writeRecord } from './launch-folder.ts'
import type { AgentRecord, ExitRecord, LaunchRecord } from './launch-folder.ts'
import { openLog } from './log-files.ts'
import type { LogWriter } from './log-files.ts'
import { readLines } from './output.ts'
import { identify, signalProcess } from './processes.ts'

/** Output that is still on its way when the agent has ended is waited for so long. */
const LAST_OUTPUT_MS = 1000
/** What a shell answers when a program cannot be started. */
const CANNOT_START = 127

type Ending = { readonly code: number | null; readonly signal: NodeJS.Signals | null }
type Exit = NonNullable<ExitRecord['exit']>

/** What was seen of the memory while the agent ran. */
interface Signs {
  /** It was ended for holding too much. */
  tooMuch: boolean
  /** V8 said so. */
  heapFull: boolean
}

const [folder] = process.argv.slice(2)
if (folder === undefined) throw new Error('usage: keeper FOLDER')
await keep(folder)

async function keep(folder: string): Promise<void> {
  const launch = readRecord(folder, 'launch.json')
  const self = identify(process.pid)
  if (launch === undefined || self === undefined || !claim(folder, self)) return
  const log = openLog(inFolder(folder).log, launch.logBytesMax)
  const cgroup = makeCgroup(launch.launchId, launch, launch.cgroups === 'off' ? [] : findCgroupPlaces())
  const signs = { tooMuch: false, heapFull: false }
  const agent = cgroup.around(() => startAgent(folder, launch))
  const ending = await live(folder, launch, { agent, cgroup, log, signs })
  signs.tooMuch ||= ending.signal === 'SIGKILL' && outOfMemoryKills(cgroup.folders) > 0
  await removeCgroups(cgroup.folders)
  log.close()
  rmSync(inFolder(folder).secrets, { recursive: true, force: true })
  writeRecord(folder, 'exit.json', { exit: exitOf(ending, signs) })
}

interface Life {
  readonly agent: ChildProcess
  readonly cgroup: LaunchCgroup
  readonly log: LogWriter
  readonly signs: Signs
}

/** From the first instruction of the agent until nothing of the launch runs any more. */
async function live(folder: string, launch: LaunchRecord, { agent, cgroup, log, signs }: Life): Promise<Ending> {
  const ended = endOf(agent, log)
  const outputEnded = readOutput(agent, log, signs)
  const identity = agent.pid === undefined ? undefined : identify(agent.pid)
  if (identity === undefined) return await ended
  const record: AgentRecord = {
    ...identity,
    cgroups: cgroup.folders,
    memoryLimit: cgroup.enforced.has('memory') ? 'cgroup' : 'watched',
    cpuLimit: cgroup.enforced.has('cpu') ? 'cgroup' : canPause ? 'paused' : 'not enforced',
  }
  writeRecord(folder, 'agent.json', record)
  // For the next keeper; otherwise it would be written at our end, when the folder may be on its way out.
  flushCompileCache()
  // The machine is told to stop, or somebody means the agent and finds us.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => signalProcess(identity, 'SIGTERM'))
  }
  const stopWatching = enforceByWatching({
    agent: identity,
    cpu: cgroup.enforced.has('cpu') ? undefined : launch.cpu,
    memoryBytes: cgroup.enforced.has('memory') ? undefined : launch.memoryBytes,
    onTooMuchMemory: () => {
      signs.tooMuch = true
      signalProcess(identity, 'SIGKILL')
    },
  })
  const ending = await ended
  stopWatching()
  await killLaunch({ agent: identity, cgroups: cgroup.folders, home: inFolder(folder).work })
  await Promise.race([outputEnded, sleep(LAST_OUTPUT_MS)])
  agent.stdout?.destroy()
  agent.stderr?.destroy()
  return ending
}

/** As a session of its own, so that everything that it starts can be found and ended. */
function startAgent(folder: string, { argv: [program, ...args], env, user }: LaunchRecord): ChildProcess {
  return spawn(program, args, {
    cwd: inFolder(folder).work,
    env: { ...env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    // With them, Node drops all other groups too.
    ...(user && { uid: user.uid, gid: user.gid }),
  })
}

function endOf(agent: ChildProcess, log: LogWriter): Promise<Ending> {
  return new Promise((resolve) => {
    agent.once('exit', (code, signal) => resolve({ code, signal }))
    agent.once('error', (error) => {
      log.write(logLine(`the agent cannot be started: ${error.message}`, 'stderr', new Date()))
      resolve({ code: CANNOT_START, signal: null })
    })
  })
}

async function readOutput(agent: ChildProcess, log: LogWriter, signs: Signs): Promise<void> {
  const { stdout, stderr } = agent
  if (stdout === null || stderr === null) return
  readLines(stdout, (line) => log.write(logLine(line, 'stdout', new Date())))
  readLines(stderr, (line) => {
    signs.heapFull ||= tellsOfFullHeap(line)
    log.write(logLine(line, 'stderr', new Date()))
  })
  await once(agent, 'close')
}

function exitOf({ code, signal }: Ending, { tooMuch, heapFull }: Signs): Exit {
  const aborted = isAbort(signal ?? signalIn(code ?? 0))
  return {
    reason: tooMuch || (heapFull && aborted) ? 'out_of_memory' : signal === null ? 'exited' : 'killed',
    ...(code !== null && { exitCode: code }),
    ...(signal !== null && { signal }),
    at: new Date().toISOString(),
  }
}
