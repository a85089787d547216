import { spawnSync } from 'node:child_process'
import { chownSync, readFileSync } from 'node:fs'
import { StackError } from './errors.ts'

/** The account that servers run as; empty means "the account we have". */
export interface Account {
  readonly uid?: number
  readonly gid?: number
}

/**
 * Postgres and PgBouncer refuse to run as root, so root hands them to `postgres`, or else to `nobody`.
 * Anybody else keeps their own account.
 */
export function serverAccount(): Account {
  if (process.getuid?.() !== 0) return {}
  const account = accountOf('postgres') ?? accountOf('nobody')
  if (account !== undefined) return account
  throw new StackError('running as root, and neither the user "postgres" nor "nobody" exists to run the servers as')
}

/** The account with this name; undefined when this machine has none. */
export function accountOf(name: string): Account | undefined {
  const users = readFileSync('/etc/passwd', 'utf8').split('\n')
  const [, , uid, gid] = users.find((line) => line.startsWith(`${name}:`))?.split(':') ?? []
  return uid === undefined || gid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) }
}

/** Gives `path` to the account; nothing happens when the account is our own. */
export function giveTo(account: Account, path: string): void {
  if (account.uid !== undefined && account.gid !== undefined) chownSync(path, account.uid, account.gid)
}

/** Whether the account can enter `dir`. Asked of the kernel, since modes alone do not tell (ACLs, mounts, groups). */
export function canEnter(account: Account, dir: string): boolean {
  const probe = spawnSync('/bin/sh', ['-c', 'cd "$1"', 'sh', dir], {
    ...account,
    cwd: '/',
    stdio: 'ignore',
    timeout: 5_000,
  })
  return probe.status === 0
}
