import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { messageOf } from './errors.ts'
import { runTool } from './run-tool.ts'

// Needed by maintainer scripts and by people, not by a program that we start ourselves; LLVM alone would be 30 MB.
const NOT_NEEDED =
  /^(libllvm|libz3|locales|libc-l10n|libc6|libjson-perl|perl|libperl|libgdbm|ucf|ssl-cert|sensible-utils|netbase|readline-common|debconf|tzdata|adduser|lsb-base|procps|logrotate|cron|passwd|init-system-helpers|postgresql-common|postgresql-client-common)/

/** The packages that this machine's apt sources offer. */
export interface DebianArchive {
  /** The first of these packages that is offered. */
  firstKnown(names: readonly string[]): Promise<string | undefined>
  /**
   * Fetches packages and what they need and the machine lacks, and makes the folder `name` below the archive's of their
   * files, in place of what was there.
   *
   * @param finish adds to the unpacked files before anybody can see them
   */
  unpack(packages: readonly string[], name: string, finish?: (root: string) => void): Promise<void>
  /** What apt said when it could not ask all of its sources; undefined when it could. */
  readonly updateFault: string | undefined
}

/**
 * Lets `use` fetch packages into folders below `dir`. Needs no root, installs nothing and starts nothing: apt runs on a
 * private state, checks the archive's signatures as always, and `dpkg-deb -x` only writes files.
 * The caller holds the lock of the folder.
 */
export async function withDebianArchive(
  dir: string,
  signal: AbortSignal | undefined,
  use: (archive: DebianArchive) => Promise<void>,
): Promise<void> {
  const work = path.join(dir, `fetch-${process.pid}-${randomBytes(4).toString('hex')}`)
  for (const old of readdirSync(dir).filter((name) => name.startsWith('fetch-'))) {
    rmSync(path.join(dir, old), { recursive: true, force: true }) // left by a fetch that was killed
  }
  try {
    for (const folder of ['lists/partial', 'archives/partial', 'cache']) {
      mkdirSync(path.join(work, folder), { recursive: true, mode: 0o755 })
    }
    const apt = aptIn(work, signal)
    // One source of many that does not answer must not stop us; whether ours did shows in what is offered.
    const update = await apt('apt-get', ['update']).catch((error: unknown) => error)
    signal?.throwIfAborted()
    await use({
      firstKnown: async (names) => await firstKnown(apt, names),
      unpack: async (packages, name, finish) => await unpack(apt, work, packages, path.join(dir, name), finish),
      updateFault: update instanceof Error ? messageOf(update) : undefined,
    })
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

async function firstKnown(apt: Apt, names: readonly string[]): Promise<string | undefined> {
  for (const name of names) {
    const policy = await apt('apt-cache', ['policy', name])
    if (/Candidate: (?!\(none\))\S/.test(policy)) return name
  }
  return undefined
}

async function unpack(
  apt: Apt,
  work: string,
  packages: readonly string[],
  target: string,
  finish: (root: string) => void = () => undefined,
): Promise<void> {
  const archives = path.join(work, 'archives')
  const root = path.join(work, 'root')
  mkdirSync(root, { mode: 0o755 })
  await apt('apt-get', ['download', ...(await planPackages(apt, packages))])
  const files = readdirSync(archives).filter((name) => name.endsWith('.deb'))
  await Promise.all(
    files.map(async (file) => await runTool('dpkg-deb', ['-x', path.join(archives, file), root], { cwd: archives })),
  )
  for (const file of files) rmSync(path.join(archives, file))
  finish(root)
  rmSync(target, { recursive: true, force: true })
  renameSync(root, target)
}

/** The packages to download, as `name=version`. */
async function planPackages(apt: Apt, top: readonly string[]): Promise<string[]> {
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
