import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, readdirSync, realpathSync } from 'node:fs'
import path from 'node:path'
import type { Account } from './account.ts'
import { serverAccount } from './account.ts'
import { searchPath } from './environment.ts'

/** A program that was seen to work, and what it needs around it. */
export interface Program {
  readonly path: string
  readonly major: number
  /** Set for programs that were unpacked rather than installed: where their shared libraries are. */
  readonly libraryPath?: string
}

export interface Binaries {
  readonly postgres: Program
  /** Of the same directory and major version as `postgres`. */
  readonly initdb: Program
  readonly pgbouncer: Program
  readonly redis: Program
}

export type ServerName = 'postgres' | 'pgbouncer' | 'redis'

export interface FoundBinaries {
  /** Undefined when something is missing. */
  readonly binaries: Binaries | undefined
  readonly missing: readonly ServerName[]
}

/**
 * Looks for the servers on the PATH, in Debian's and Homebrew's usual places, and in what `fetchBinaries` unpacked.
 * Every candidate must print its version as the account that will run it: a broken link, a wrapper without its server,
 * or a program in a folder that only root can enter does not count.
 *
 * @param postgresMajor only this version will do, because there is data of it
 */
export function findBinaries(runtimeDir: string, postgresMajor?: number): FoundBinaries {
  const account = serverAccount()
  const places = searchPlaces(runtimeDir)
  const postgres = findPostgres(places, account, postgresMajor)
  const pgbouncer = findProgram(['pgbouncer'], /PgBouncer (\d+)/i, places, account)
  const redis = findProgram(['redis-server', 'valkey-server'], /v=(\d+)/, places, account)
  if (postgres !== undefined && pgbouncer !== undefined && redis !== undefined) {
    return { binaries: { ...postgres, pgbouncer, redis }, missing: [] }
  }
  const found = { postgres, pgbouncer, redis }
  const missing = (['postgres', 'pgbouncer', 'redis'] as const).filter((name) => found[name] === undefined)
  return { binaries: undefined, missing }
}

interface Place {
  readonly dir: string
  readonly libraryPath?: string
}

function searchPlaces(runtimeDir: string): Place[] {
  const onPath = searchPath()
    .split(path.delimiter)
    .filter((dir) => path.isAbsolute(dir))
  const installed = [
    ...onPath,
    ...postgresFolders('/usr/lib/postgresql'),
    '/usr/local/sbin',
    '/usr/local/bin',
    '/usr/sbin',
    '/usr/bin',
    ...['/opt/homebrew', '/usr/local'].flatMap((brew) => brewFolders(brew)),
  ]
  return [...[...new Set(installed)].map((dir) => ({ dir })), ...unpackedPlaces(runtimeDir)]
}

/** Where the programs of an unpacked set of Debian packages are. Empty when there is none. */
export function unpackedPlaces(runtimeDir: string): Place[] {
  const root = path.join(runtimeDir, 'root')
  if (!existsSync(root)) return []
  const libraryPath = libraryFolders(root).join(':')
  const dirs = [
    ...postgresFolders(path.join(root, 'usr/lib/postgresql')),
    path.join(root, 'usr/sbin'),
    path.join(root, 'usr/bin'),
  ]
  return dirs.map((dir) => ({ dir, libraryPath }))
}

// Debian keeps libraries in usr/lib/<machine>-linux-gnu (and, before the merge of /usr, in lib/).
function libraryFolders(root: string): string[] {
  return ['usr/lib', 'lib'].flatMap((dir) =>
    list(path.join(root, dir))
      .filter((name) => name.endsWith('-linux-gnu'))
      .map((name) => path.join(root, dir, name)),
  )
}

function postgresFolders(root: string): string[] {
  return list(root)
    .filter((version) => /^\d+$/.test(version))
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => path.join(root, version, 'bin'))
}

function brewFolders(root: string): string[] {
  const versions = list(path.join(root, 'opt')).filter((name) => /^postgresql@\d+$/.test(name))
  return [
    ...versions
      .sort()
      .reverse()
      .map((name) => path.join(root, 'opt', name, 'bin')),
    path.join(root, 'bin'),
  ]
}

function findPostgres(
  places: Place[],
  account: Account,
  wanted: number | undefined,
): { postgres: Program; initdb: Program } | undefined {
  for (const place of places) {
    const postgres = tryProgram(place, 'postgres', /\(PostgreSQL\) (\d+)/, account)
    if (postgres === undefined || postgres.major < 14 || (wanted !== undefined && postgres.major !== wanted)) continue
    // What is on the PATH may be a link; initdb has to stand beside the real one, because it starts that one.
    const home = { ...place, dir: path.dirname(realpathSync(postgres.path)) }
    const initdb = tryProgram(home, 'initdb', /\(PostgreSQL\) (\d+)/, account)
    if (initdb?.major !== postgres.major) continue
    return { postgres: { ...postgres, path: path.join(home.dir, 'postgres') }, initdb }
  }
  return undefined
}

function findProgram(names: string[], version: RegExp, places: Place[], account: Account): Program | undefined {
  for (const place of places) {
    for (const name of names) {
      const program = tryProgram(place, name, version, account)
      if (program !== undefined) return program
    }
  }
  return undefined
}

function tryProgram(place: Place, name: string, version: RegExp, account: Account): Program | undefined {
  const file = path.join(place.dir, name)
  if (!isExecutable(file)) return undefined
  const { libraryPath } = place
  const program = { path: file, ...(libraryPath === undefined ? {} : { libraryPath }) }
  const run = spawnSync(file, ['--version'], {
    ...account,
    cwd: '/',
    env: programEnv(program),
    encoding: 'utf8',
    timeout: 10_000,
  })
  const major = run.status === 0 ? version.exec(run.stdout)?.[1] : undefined
  return major === undefined ? undefined : { ...program, major: Number(major) }
}

/**
 * The environment of a server: nothing of ours but the PATH, so that PGDATA, PGPORT and the like of the person who
 * starts it change nothing. The time zone is GMT because that one needs no zone files.
 */
export function programEnv(program: Pick<Program, 'libraryPath'>): NodeJS.ProcessEnv {
  return {
    PATH: searchPath(),
    LANG: 'C.UTF-8',
    LC_ALL: 'C.UTF-8',
    TZ: 'GMT',
    ...(program.libraryPath === undefined ? {} : { LD_LIBRARY_PATH: program.libraryPath }),
  }
}

function isExecutable(file: string): boolean {
  if (!existsSync(file)) return false
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false // the answer is the point: existing but not executable means "not here"
  }
}

function list(dir: string): string[] {
  return existsSync(dir) ? readdirSync(dir) : []
}
