import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { LaunchRefused } from '../driver.ts'

const run = promisify(execFile)

export interface User {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

/** What was found to be so. Each look starts a program, and no start of an agent should wait for it twice. */
const known = { users: new Map<string, User>(), readable: new Set<string>() }

/**
 * Who agents become. Undefined when they stay who the factory is: because it is not root and cannot change that, or
 * because `root` was asked for.
 *
 * @throws {LaunchRefused} when there is no such user
 */
export async function findUser(name: string): Promise<User | undefined> {
  if (process.getuid?.() !== 0 || name === 'root') return undefined
  const found = known.users.get(name)
  if (found !== undefined) return found
  try {
    const [uid, gid] = await Promise.all([idOf('-u', name), idOf('-g', name)])
    const user = { name, uid, gid }
    known.users.set(name, user)
    return user
  } catch (error) {
    throw new LaunchRefused(`there is no user ${JSON.stringify(name)}: set FACTORY_RUN_AS to one that exists`, {
      cause: error,
    })
  }
}

/**
 * Whether the user can read these files and enter these folders. Asks as the user itself, because what counts are also the folders on the way, groups and access lists.
 *
 * @throws {LaunchRefused} that names the file and says what to do
 */
export async function checkReadable({ name, uid, gid }: User, files: readonly string[]): Promise<void> {
  const key = (file: string): string => `${uid}:${gid}:${file}`
  const unknown = files.filter((file) => !known.readable.has(key(file)))
  if (unknown.length === 0) return
  const script = 'for f; do [ -r "$f" ] || { [ -d "$f" ] && [ -x "$f" ]; } || { printf %s "$f"; exit 1; }; done'
  const options = { uid, gid, cwd: '/', env: {}, timeout: 5000 }
  const unreadable = await run('/bin/sh', ['-c', script, 'sh', ...unknown], options).then(
    () => undefined,
    (error: Error & { stdout?: string }) => error.stdout ?? error.message,
  )
  if (unreadable === undefined) {
    for (const file of unknown) known.readable.add(key(file))
    return
  }
  throw new LaunchRefused(
    `the user ${JSON.stringify(name)} cannot reach ${unreadable}: give it the right to read it and to enter the folders` +
      ' above, or set FACTORY_RUN_AS to a user who can (`root` switches the protection off)',
  )
}

async function idOf(flag: '-u' | '-g', name: string): Promise<number> {
  const { stdout } = await run('/usr/bin/id', [flag, name], { timeout: 5000 })
  return Number.parseInt(stdout, 10)
}
