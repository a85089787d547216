import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import path from 'node:path'
import { dataHome, findBinaries } from '../../../packages/local-stack/src/index.ts'
import type { Program } from '../../../packages/local-stack/src/index.ts'

const ROOT = path.resolve(import.meta.dirname, '../../..')

/** What else the machine is doing, as its load average of the last minute. */
export const loadNow = (): number => Math.round((loadavg()[0] ?? 0) * 10) / 10

/** On what it was measured; figures of two machines say nothing about each other. The first run is what fetches the servers. */
export function describeMachine(loadBefore: number): Record<string, string | number> {
  const { binaries } = findBinaries(path.join(dataHome(ROOT).dir, 'runtime'))
  const versionOf = (program: Program | undefined): string => {
    if (program === undefined) return 'unknown'
    const env = {
      ...process.env,
      ...(program.libraryPath === undefined ? {} : { LD_LIBRARY_PATH: program.libraryPath }),
    }
    const said = spawnSync(program.path, ['--version'], { encoding: 'utf8', env }).stdout
    return /\d+\.\d+(?:\.\d+)?/.exec(said)?.[0] ?? 'unknown'
  }
  return {
    cores: cpus().length,
    cpu: cpus()[0]?.model ?? 'unknown',
    memoryGiB: Math.round(totalmem() / 1024 ** 3),
    node: process.version,
    postgres: versionOf(binaries?.postgres),
    pgbouncer: versionOf(binaries?.pgbouncer),
    redis: versionOf(binaries?.redis),
    loadBefore,
  }
}

/** The version of a package that is installed here. */
export function versionOf(packageName: string | undefined): string {
  const folder = packageName === undefined ? ROOT : path.join(import.meta.dirname, '../node_modules', packageName)
  return (JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as { version: string }).version
}
