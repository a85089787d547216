import { spawnSync } from 'node:child_process'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import path from 'node:path'

/** A file system of a few hundred megabytes in memory, that can be filled to the last byte. */
export interface SmallDisk {
  fill(): void
  clear(): void
  unmount(): void
}

const SIZE = '700m'
const BLOCK = Buffer.alloc(1 << 16)

/** Mounts one at the folder. Needs root with the right to mount; undefined, and said so, where that is not allowed. */
export function mountSmallDisk(folder: string, log: (line: string) => void): SmallDisk | undefined {
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE}`, 'tmpfs', folder], { encoding: 'utf8' })
  if (mounted.status !== 0) {
    log(`no disk of its own for the servers (${mounted.stderr.trim() || mounted.error?.message || 'mount failed'})`)
    return undefined
  }
  const ballast = path.join(folder, 'ballast')
  return {
    fill() {
      const file = openSync(ballast, 'w')
      try {
        for (;;) writeSync(file, BLOCK)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
      } finally {
        closeSync(file)
      }
    },
    clear: () => rmSync(ballast, { force: true }),
    unmount() {
      spawnSync('umount', ['--lazy', folder])
    },
  }
}
