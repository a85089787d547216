import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs'

/**
 * Whether this very process listens on the TCP port. Somebody else's service on the port answers just as well, and must
 * not be taken for ours. Undefined where the system cannot tell (no /proc).
 */
export function listensOn(pid: number, port: number): boolean | undefined {
  if (!existsSync('/proc/net/tcp')) return undefined
  const inodes = new Set(
    ['/proc/net/tcp', '/proc/net/tcp6'].filter(existsSync).flatMap((file) => listeners(file, port)),
  )
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`))?.[1]
      return inode !== undefined && inodes.has(inode)
    })
  } catch (error) {
    if (isGone(error)) return false
    throw error
  }
}

const LISTEN = '0A'

/** Inodes of the sockets that listen on the port: columns 2, 4 and 10 are local address, state and inode. */
function listeners(file: string, port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, , state]) => state === LISTEN && local?.endsWith(suffix) === true)
    .flatMap((columns) => columns[9] ?? [])
}

function linkOf(file: string): string {
  try {
    return readlinkSync(file)
  } catch (error) {
    if (isGone(error)) return '' // closed while we looked
    throw error
  }
}

function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && ['ENOENT', 'ESRCH', 'EACCES'].includes(String(error.code))
}
