import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { Socket } from 'node:net'
import { SandboxUnavailable } from './errors.ts'

/**
 * Ends the commands of this process when it is killed, at whatever moment. bubblewrap asks the kernel for that as well
 * (`--die-with-parent`), but only when it is through with its start; until then it would be left behind, and its command with it.
 *
 * It is one shell for the life of this process. It is told the process group of every bubblewrap, and when the pipe breaks,
 * which is when this process is gone, it kills the groups that have not ended. The first process inside never leaves the group, and
 * nothing inside outlives that one.
 */
export interface Reaper {
  /** @throws {SandboxUnavailable} when there is no shell to be had */
  ready(): void
  /** To be called before bubblewrap is told to begin. */
  watch(group: number): void
  /** The group has ended, and its number may be given to others. */
  forget(group: number): void
}

const SCRIPT = `
while read -r what group; do
  case $what in
    watch) groups="$groups $group" ;;
    forget)
      rest=
      for one in $groups; do [ "$one" = "$group" ] || rest="$rest $one"; done
      groups=$rest ;;
  esac
done
for group in $groups; do kill -s KILL -- "-$group"; done`

export function createReaper(): Reaper {
  const groups = new Set<number>()
  let shell: Socket | undefined

  return {
    ready() {
      if (shell !== undefined) return
      const opened = startShell(() => {
        // Somebody has killed it: the next command starts another one, which then hears of all.
        if (shell === opened) shell = undefined
      })
      shell = opened
      for (const group of groups) shell.write(`watch ${group}\n`)
    },
    watch(group) {
      groups.add(group)
      shell?.write(`watch ${group}\n`)
    },
    forget(group) {
      groups.delete(group)
      shell?.write(`forget ${group}\n`)
    },
  }
}

/** In a session of its own, since what ends the group of this process must not end it first. It keeps nobody from exiting. */
function startShell(onLost: () => void): Socket {
  const child = spawn('/bin/sh', ['-c', SCRIPT], {
    cwd: '/',
    env: {},
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  child.once('error', onLost)
  child.once('exit', onLost)
  if (child.pid === undefined) throw new SandboxUnavailable('no shell can be started that looks after the commands')
  assert(child.stdin instanceof Socket, 'a pipe was asked for')
  child.stdin.on('error', onLost)
  child.stdin.unref()
  child.unref()
  return child.stdin
}
