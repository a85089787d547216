import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { unpackedPlaces } from '../src/binaries.ts'
import { withDebianArchive } from '../src/debian-archive.ts'
import { unpackServers } from '../src/fetch-binaries.ts'
import { fetchBinaries, findBinaries, provideServers } from '../src/index.ts'
import { runtimeDir, temporaryFolder } from './helpers.ts'

// Goal: only a program that really runs, as the user who will run it, counts as found.
// Method: put look-alikes first on the PATH; `binaries.ts` reads the PATH of this process.
describe('findBinaries', () => {
  test('passes over look-alikes: scripts that fail, links to nowhere, a postgres without its initdb', async () => {
    await fetchBinaries(runtimeDir, () => undefined)
    const bin = temporaryFolder()
    script(path.join(bin, 'postgres'), 'echo "postgres (PostgreSQL) 16.1"') // a wrapper with no initdb beside it
    script(path.join(bin, 'redis-server'), 'exit 1')
    symlinkSync('/nowhere/pgbouncer', path.join(bin, 'pgbouncer'))
    vi.stubEnv('PATH', `${bin}:${process.env['PATH']}`)
    const { binaries, missing } = findBinaries(runtimeDir)
    expect(missing).toEqual([])
    expect(Object.values(binaries ?? {}).filter((program) => program.path.startsWith(bin))).toEqual([])
    expect(path.dirname(binaries?.initdb.path ?? '')).toBe(path.dirname(binaries?.postgres.path ?? ''))
    expect(binaries?.initdb.major).toBe(binaries?.postgres.major)
  })

  test('follows a link to the real postgres', async () => {
    const { postgres } = await fetchBinaries(runtimeDir, () => undefined)
    const bin = temporaryFolder()
    if (postgres.libraryPath === undefined) symlinkSync(postgres.path, path.join(bin, 'postgres'))
    vi.stubEnv('PATH', `${bin}:${process.env['PATH']}`)
    expect(findBinaries(runtimeDir).binaries?.postgres.path).toBe(postgres.path)
  })

  test('passes over programs that only root can reach', async () => {
    const { redis } = await fetchBinaries(runtimeDir, () => undefined)
    const closed = temporaryFolder()
    chmodSync(closed, 0o700)
    const bin = path.join(closed, 'bin')
    mkdirSync(bin)
    script(path.join(bin, 'redis-server'), 'echo "Redis server v=99.0.0"')
    vi.stubEnv('PATH', `${bin}:${process.env['PATH']}`)
    expect(findBinaries(runtimeDir).binaries?.redis.major).toBe(process.getuid?.() === 0 ? redis.major : 99)
  })

  test('finds no Postgres of a version that is not here', () => {
    expect(findBinaries(runtimeDir, 9).missing).toContain('postgres')
  })
})

// Goal: a machine without the servers gets them, unprivileged and outside of its package database.
describe('fetchBinaries', () => {
  test('unpacks packages whose programs run, and leaves no trace but one folder', { timeout: 180_000 }, async () => {
    const dir = temporaryFolder()
    const before = spawnSync('dpkg-query', ['-f', '${Package} ${Status}\n', '-W'], { encoding: 'utf8' }).stdout
    await withDebianArchive(dir, undefined, async (archive) => {
      await unpackServers(archive, ['postgres', 'pgbouncer', 'redis'])
    })
    const places = unpackedPlaces(dir)
    const version = (name: string): string => {
      const place = places.find((candidate) => existsSync(path.join(candidate.dir, name)))
      const env = { LD_LIBRARY_PATH: place?.libraryPath ?? '' }
      return spawnSync(path.join(place?.dir ?? '', name), ['--version'], { env, encoding: 'utf8' }).stdout
    }
    expect(version('postgres')).toMatch(/^postgres \(PostgreSQL\) \d+/)
    expect(version('initdb')).toMatch(/^initdb \(PostgreSQL\) \d+/)
    expect(version('pgbouncer')).toMatch(/^PgBouncer 1\.\d+/)
    expect(version('redis-server')).toMatch(/^Redis server v=\d+/)
    expect(spawnSync('dpkg-query', ['-f', '${Package} ${Status}\n', '-W'], { encoding: 'utf8' }).stdout).toBe(before)
    expect(spawnSync('ls', ['-A', dir], { encoding: 'utf8' }).stdout).toBe('root\n')
  })

  test('says which commands help when nothing can be fetched', async () => {
    const bin = temporaryFolder()
    for (const name of ['apt-get', 'apt-cache', 'docker'])
      script(path.join(bin, name), 'echo "no network" >&2; exit 100')
    vi.stubEnv('PATH', `${bin}:${process.env['PATH']}`)
    const empty = path.join(temporaryFolder(), 'runtime')
    // No machine has this Postgres, so something is missing everywhere.
    const failure = provideServers({ runtimeDir: empty, postgresMajor: 9, composeFile: '/nowhere/compose.yaml' })
    await expect(failure).rejects.toThrow(/apt-get install --no-install-recommends postgresql pgbouncer redis-server/)
  })
})

function script(file: string, body: string): void {
  writeFileSync(file, `#!/bin/sh\n${body}\n`)
  chmodSync(file, 0o755)
}
