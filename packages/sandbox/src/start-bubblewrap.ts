import type { ChildProcess } from 'node:child_process'
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { Readable, Writable } from 'node:stream'
import {
  ARGUMENTS_FD,
  SECCOMP_FD,
  STATUS_FD,
  argumentList,
  commandLine,
  etcContents,
  kernelProcessesMax,
} from './bubblewrap-arguments.ts'
import type { Limits } from './command-limits.ts'
import { SandboxUnavailable, codeOf } from './errors.ts'
import { limitProcesses } from './process-cgroup.ts'
import { isOver } from './process-tree.ts'
import { createReaper } from './reaper.ts'
import type { SandboxCommand } from './sandbox.ts'

/** A bubblewrap, as the parts of the machine that it needs. */
export interface Bubblewrap {
  readonly path: string
  readonly seccomp: Buffer
  /** Descriptors up to this one could be somebody's files, and are replaced. */
  readonly highestInherited: number
}

export interface RunningCommand {
  readonly stdout: Readable
  readonly stderr: Readable
  /** The first process inside, as this machine numbers it; undefined until it is there. */
  readonly rootPid: number | undefined
  /** The kernel has refused it one more process, where it can be asked for that. */
  hasRefusedProcesses(): boolean
  /** Kills every process inside. They are gone when `ended` resolves. */
  kill(): void
  /** How bubblewrap ended, once all that it ran has. */
  readonly ended: Promise<Ending>
}

export interface Ending {
  readonly signal: string | null
  /** As of a shell; undefined when it never came to the command. */
  readonly exitCode: number | undefined
}

/** How long bubblewrap gets to tell whom to kill before it is killed itself. */
const ROOT_WAIT_MS = 1_000
const OVER_POLL_MS = 2

/** Of this process, as a process is what can be killed. */
const reaper = createReaper()

/** @throws {SandboxUnavailable} when bubblewrap, or what looks after it, cannot be started */
export function startBubblewrap(bubblewrap: Bubblewrap, command: SandboxCommand, limits: Limits): RunningCommand {
  reaper.ready()
  const child = spawnProgram(bubblewrap, commandLine(command, limits))
  const { stdout, stderr } = child
  assert(stdout !== null && stderr !== null, 'pipes were asked for')
  const ended = new Promise<Ending>((resolve, reject) => {
    child.once('error', (error) => reject(startFailure(bubblewrap.path, error)))
    child.once('close', (_, signal) => whenOver(status.rootPid, () => resolve({ signal, exitCode: status.exitCode })))
  })
  const pipes: readonly unknown[] = child.stdio
  const status = readStatus(pipes[STATUS_FD])
  // bubblewrap has not begun, so everything that it will start inherits what it is given here.
  const cgroup = child.pid === undefined ? undefined : limitProcesses(child.pid, kernelProcessesMax(limits) + 2)
  if (child.pid !== undefined) {
    offerToOomKiller(child.pid)
    reaper.watch(child.pid)
  }
  feed(pipes[0], command.stdin ?? '')
  feed(pipes[ARGUMENTS_FD], `begin\n${argumentList(command, limits)}`)
  feed(pipes[SECCOMP_FD], bubblewrap.seccomp)
  for (const [index, content] of etcContents.entries()) feed(pipes[STATUS_FD + 1 + index], content)
  return {
    stdout,
    stderr,
    get rootPid() {
      return status.rootPid
    },
    hasRefusedProcesses: () => cgroup?.hasRefused() === true,
    kill: () => killTree(child, status),
    ended: ended.finally(() => {
      cgroup?.remove()
      if (child.pid !== undefined) reaper.forget(child.pid)
    }),
  }
}

/**
 * Becomes bubblewrap at the first line of its arguments, which comes when the reaper knows of it. One that begins before and loses us
 * then would die by the broken pipe of its status, and leave its first process behind.
 */
const WHEN_WATCHED = `read -r begin <&${ARGUMENTS_FD} && exec "$0" "$@"`

function spawnProgram({ path, highestInherited }: Bubblewrap, args: string[]): ChildProcess {
  const pipes = STATUS_FD + etcContents.length - 2
  const nothing = openSync('/dev/null', 'r')
  try {
    return spawn('/bin/sh', ['-c', WHEN_WATCHED, path, ...args], {
      cwd: '/',
      env: {}, // the first process inside is bubblewrap, and what it was started with can be read there
      detached: true, // a Ctrl-C is for us to judge; and the reaper kills the group
      stdio: [
        ...(['pipe', 'pipe', 'pipe'] as const),
        ...Array.from({ length: pipes }, () => 'pipe' as const),
        ...Array.from({ length: Math.max(0, highestInherited - 2 - pipes) }, () => nothing),
      ],
    })
  } finally {
    closeSync(nothing)
  }
}

interface Status {
  rootPid?: number
  exitCode?: number
  onRoot?: (pid: number) => void
}

/** bubblewrap writes one JSON object a line: first the number of the first process, in the end the exit code. */
function readStatus(stream: unknown): Status {
  const status: Status = {}
  let text = ''
  if (!(stream instanceof Readable)) return status
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString()
    const [, pid] = /"child-pid": (\d+)/.exec(text) ?? []
    const [, exitCode] = /"exit-code": (\d+)\s*\}/.exec(text) ?? []
    if (exitCode !== undefined) status.exitCode = Number(exitCode)
    if (pid === undefined || status.rootPid !== undefined) return
    status.rootPid = Number(pid)
    status.onRoot?.(status.rootPid)
  })
  return status
}

/** bubblewrap ends as soon as it knows the exit code, while what was left in the background is still being killed. */
function whenOver(rootPid: number | undefined, tell: () => void): void {
  if (rootPid === undefined || isOver(rootPid)) tell()
  else setTimeout(() => whenOver(rootPid, tell), OVER_POLL_MS)
}

/**
 * Killing the first process of a pid namespace ends all of it, and bubblewrap with it. Killing bubblewrap alone would
 * leave that to a signal which the first process asks for only after it has begun.
 */
function killTree(child: ChildProcess, status: Status): void {
  if (child.exitCode !== null || child.signalCode !== null) return
  if (status.rootPid !== undefined) {
    killProcess(status.rootPid)
    return
  }
  const timer = setTimeout(() => child.kill('SIGKILL'), ROOT_WAIT_MS)
  child.once('exit', () => clearTimeout(timer))
  status.onRoot = killProcess
}

function killProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error // it has ended by itself
  }
}

/** The command is the first to go when the machine is out of memory. */
function offerToOomKiller(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, '1000')
  } catch (error) {
    // A bubblewrap that is setuid is not ours to change, and one that failed at once is gone: its ending says so.
    if (!['EACCES', 'EPERM', 'ENOENT', 'ESRCH'].includes(codeOf(error) ?? '')) throw error
  }
}

function feed(stream: unknown, content: string | Buffer): void {
  if (!(stream instanceof Writable)) return
  // A command may end without reading all of its input. bubblewrap refuses to start with a part of its own.
  stream.on('error', () => undefined)
  stream.end(content)
}

function startFailure(path: string, error: Error): Error {
  return ['ENOENT', 'EACCES', 'ENOEXEC'].includes(codeOf(error) ?? '')
    ? new SandboxUnavailable(`${path} cannot be run: ${error.message}`, { cause: error })
    : error
}
