import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { LaunchRefused } from '../driver.ts'

const run = promisify(execFile)

export interface User {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

/**
 * Who agents become. Undefined when they stay who the factory is: because it is not root and cannot change that, or
 * because `root` was asked for.
 *
 * @throws {LaunchRefused} when there is no such user
 */
export async function findUser(name: string): Promise<User | undefined> {
  if (process.getuid?.() !== 0 || name === 'root') return undefined
  try {
    const [uid, gid] = await Promise.all([idOf('-u', name), idOf('-g', name)])
    return { name, uid, gid }
  } catch (error) {
    throw new LaunchRefused(`there is no user ${JSON.stringify(name)}: set FACTORY_RUN_AS to one that exists`, {
      cause: error,
    })
  }
}

/**
 * Asks as the user itself, because what counts are also the folders on the way, groups and access lists.
 *
 * @throws {LaunchRefused} that names the file and says what to do
 */
export async function checkReadable({ name, uid, gid }: User, files: readonly string[]): Promise<void> {
  const script = 'for file; do [ -r "$file" ] || { printf %s "$file"; exit 1; }; done'
  const options = { uid, gid, cwd: '/', env: {}, timeout: 5000 }
  const unreadable = await run('/bin/sh', ['-c', script, 'sh', ...files], options).then(
    () => undefined,
    (error: Error & { stdout?: string }) => error.stdout ?? error.message,
  )
  if (unreadable === undefined) return
  throw new LaunchRefused(
    `the user ${JSON.stringify(name)} cannot read ${unreadable}: give it the right to read it and to enter the folders` +
      ' above, or set FACTORY_RUN_AS to a user who can (`root` switches the protection off)',
  )
}

async function idOf(flag: '-u' | '-g', name: string): Promise<number> {
  const { stdout } = await run('/usr/bin/id', [flag, name], { timeout: 5000 })
  return Number.parseInt(stdout, 10)
}
