import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import type { Binaries, ServerName } from './binaries.ts'
import { findBinaries } from './binaries.ts'
import { StackError } from './errors.ts'
import { lockFolder } from './folder-lock.ts'
import { runTool } from './run-tool.ts'

// Needed by maintainer scripts and by people, not by a server that we start ourselves; LLVM alone would be 30 MB.
const NOT_NEEDED =
  /^(libllvm|libz3|locales|libc-l10n|libc6|libjson-perl|perl|libperl|libgdbm|ucf|ssl-cert|sensible-utils|netbase|readline-common|debconf|tzdata|adduser|lsb-base|procps|logrotate|cron|passwd|init-system-helpers|postgresql-common|postgresql-client-common)/

/**
 * Fetches what is missing of the servers as Debian packages and unpacks them below `runtimeDir`. Needs no root, installs
 * nothing and starts nothing: apt runs on a private state, checks the archive's signatures as always, and
 * `dpkg-deb -x` only writes files. Only one process fetches; others wait for it.
 *
 * @throws {StackError} when apt is absent or cannot do it, with apt's own words
 */
export async function fetchBinaries(
  runtimeDir: string,
  log: (line: string) => void,
  signal?: AbortSignal,
): Promise<Binaries> {
  const lock = await lockFolder(runtimeDir, 300_000)
  try {
    const { binaries, missing } = findBinaries(runtimeDir)
    if (binaries !== undefined) return binaries
    // What an earlier set-up unpacked is not enough: start over, for one set of packages that fit together.
    const unpacked = existsSync(path.join(runtimeDir, 'root'))
    const wanted = unpacked ? findBinaries(path.join(runtimeDir, 'none')).missing : missing
    log(`fetching ${wanted.join(', ')} as Debian packages (unpacked under ${runtimeDir}, not installed)`)
    await unpackPackages(runtimeDir, wanted, signal)
  } finally {
    lock.release()
  }
  const { binaries, missing } = findBinaries(runtimeDir)
  if (binaries === undefined) throw new StackError(`the fetched packages do not run here: ${missing.join(', ')}`)
  return binaries
}

/** Fetches and unpacks these servers, whatever is installed. The caller holds the lock of the folder. */
export async function unpackPackages(
  runtimeDir: string,
  wanted: readonly ServerName[],
  signal?: AbortSignal,
): Promise<void> {
  const work = path.join(runtimeDir, `fetch-${process.pid}-${randomBytes(4).toString('hex')}`)
  for (const old of readdirSync(runtimeDir).filter((name) => name.startsWith('fetch-'))) {
    rmSync(path.join(runtimeDir, old), { recursive: true, force: true }) // left by a fetch that was killed
  }
  try {
    for (const dir of ['lists/partial', 'archives/partial', 'cache', 'root']) {
      mkdirSync(path.join(work, dir), { recursive: true, mode: 0o755 })
    }
    const apt = aptIn(work, signal)
    const packages = await planPackages(apt, wanted)
    await apt('apt-get', ['download', ...packages])
    await unpackArchives(path.join(work, 'archives'), path.join(work, 'root'))
    rmSync(path.join(runtimeDir, 'root'), { recursive: true, force: true })
    renameSync(path.join(work, 'root'), path.join(runtimeDir, 'root'))
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** The packages to download, as `name=version`. */
async function planPackages(apt: Apt, wanted: readonly ServerName[]): Promise<string[]> {
  // One source of many that does not answer must not stop us; whether ours did shows in the next step.
  const update = await apt('apt-get', ['update']).catch((error: unknown) => error)
  const names = await Promise.all(wanted.map(async (name) => await packageOf(apt, name)))
  const unknown = wanted.filter((_, index) => names[index] === undefined)
  if (unknown.length > 0) {
    throw new StackError(
      `apt knows no package for ${unknown.join(', ')}${update instanceof Error ? `: ${update.message}` : ''}`,
    )
  }
  const top = names.filter((name) => name !== undefined)
  const plan = await apt('apt-get', ['install', '-y', '--no-install-recommends', '--print-uris', ...top])
  const planned = [...plan.matchAll(/^'[^']+' ([^_\s]+)_([^_\s]+)_\S+\.deb/gm)].map(([, name = '', version = '']) => ({
    name,
    version: decodeURIComponent(version),
  }))
  const needed = planned.filter(({ name }) => !NOT_NEEDED.test(name)).map(({ name, version }) => `${name}=${version}`)
  // A package that dpkg believes installed, though its program does not work, is not in the plan.
  const unplanned = top.filter((name) => !planned.some((entry) => entry.name === name))
  return [...needed, ...unplanned]
}

async function packageOf(apt: Apt, server: ServerName): Promise<string | undefined> {
  const candidates = {
    postgres: ['18', '17', '16', '15', '14'].map((version) => `postgresql-${version}`),
    pgbouncer: ['pgbouncer'],
    redis: ['redis-server', 'valkey-server'],
  }
  for (const name of candidates[server]) {
    const policy = await apt('apt-cache', ['policy', name])
    if (/Candidate: (?!\(none\))\S/.test(policy)) return name
  }
  return undefined
}

async function unpackArchives(archives: string, root: string): Promise<void> {
  const files = readdirSync(archives).filter((name) => name.endsWith('.deb'))
  await Promise.all(
    files.map(async (file) => await runTool('dpkg-deb', ['-x', path.join(archives, file), root], { cwd: archives })),
  )
}

type Apt = (program: 'apt-get' | 'apt-cache', args: string[]) => Promise<string>

/** apt on a state of its own below `work`. */
function aptIn(work: string, signal: AbortSignal | undefined): Apt {
  const options = {
    'Dir::State::lists': `${work}/lists`,
    'Dir::Cache': `${work}/cache`,
    'Dir::Cache::archives': `${work}/archives`,
    'Dir::Cache::pkgcache': '',
    'Dir::Cache::srcpkgcache': '',
    'Debug::NoLocking': 'true',
    'APT::Sandbox::User': '',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '3',
    'Acquire::http::Timeout': '20',
    'Acquire::https::Timeout': '20',
  }
  const flags = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  return async (program, args) => await runTool(program, [...flags, '-q', ...args], { cwd: `${work}/archives`, signal })
}
