import { StackError } from './errors.ts'
import type { ProcessIdentity } from './process-identity.ts'
import { isAlive, processesIn, signalProcess, waitGone } from './process-identity.ts'

const PROGRAMS = new Set(['postgres', 'initdb', 'pgbouncer', 'redis-server', 'valkey-server'])

/**
 * Ends every server that works in one of `folders`, and the `recorded` ones: what a killed starter left behind, whether
 * its record was written or not. Children of a Postgres end with it.
 *
 * @returns how many processes were found
 * @throws {StackError} when one cannot be ended; then nothing may be started on these files
 */
export async function stopLeftovers(folders: readonly string[], recorded: readonly ProcessIdentity[]): Promise<number> {
  const find = (): ProcessIdentity[] => {
    const living = [...recorded.filter(isAlive), ...folders.flatMap((folder) => processesIn(folder, PROGRAMS))]
    return [...new Map(living.map((identity) => [identity.pid, identity])).values()]
  }
  const found = find().length
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
    const left = find()
    if (left.length === 0) return found
    for (const identity of left) {
      signalProcess(identity, 'SIGCONT') // a frozen process takes no other signal
      signalProcess(identity, signal)
    }
    await Promise.all(left.map(async (identity) => await waitGone(identity, 5_000)))
  }
  const [stubborn] = find()
  if (stubborn === undefined) return found
  throw new StackError(`process ${stubborn.pid} still works on ${folders.join(', ')} and cannot be stopped`)
}
