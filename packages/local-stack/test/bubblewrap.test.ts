import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { findBubblewrap, provideBubblewrap } from '../src/index.ts'
import { temporaryFolder } from './helpers.ts'

// Goal: bubblewrap is found or fetched like the servers, and that it cannot be had stops nobody.
// Method: a PATH with the tools of the machine but no bwrap; real packages; look-alikes; an apt that fails.
describe('bubblewrap', () => {
  test('is fetched and unpacked without root, and runs from any folder', { timeout: 120_000 }, async () => {
    vi.stubEnv('PATH', toolFolder())
    const dir = temporaryFolder()
    expect(findBubblewrap(dir)).toBeUndefined()
    const bwrap = await provideBubblewrap(dir)
    expect(bwrap).toBe(path.join(dir, 'bubblewrap/bwrap'))
    expect(findBubblewrap(dir)).toBe(bwrap)
    const moved = path.join(dir, "it's moved")
    renameSync(path.join(dir, 'bubblewrap'), moved)
    const version = spawnSync(path.join(moved, 'bwrap'), ['--version'], { env: {}, encoding: 'utf8' }).stdout
    expect(version).toMatch(/^bubblewrap \d+\.\d+/)
  })

  test('is not fetched when one on the PATH runs, and not found when it is too old or does not run', async () => {
    const tools = toolFolder()
    vi.stubEnv('PATH', tools)
    const dir = temporaryFolder()
    script(path.join(tools, 'bwrap'), 'echo bubblewrap 0.6.1')
    expect(findBubblewrap(dir)).toBeUndefined()
    script(path.join(tools, 'bwrap'), 'echo bubblewrap 0.8.0; exit 1')
    expect(findBubblewrap(dir)).toBeUndefined()
    script(path.join(tools, 'bwrap'), 'echo bubblewrap 0.11.0')
    expect(await provideBubblewrap(dir)).toBe(path.join(tools, 'bwrap'))
    expect(existsSync(path.join(dir, 'bubblewrap'))).toBe(false)
  })

  test('that cannot be had is told, not thrown', async () => {
    const tools = toolFolder()
    for (const name of ['apt-get', 'apt-cache']) script(path.join(tools, name), 'echo "no network" >&2; exit 100')
    vi.stubEnv('PATH', tools)
    const lines: string[] = []
    expect(await provideBubblewrap(temporaryFolder(), (line) => lines.push(line))).toBeUndefined()
    expect(lines).toEqual([expect.stringContaining('bubblewrap cannot be fetched')])
  })

  test('is given up when the caller gives up', async () => {
    const tools = toolFolder()
    script(path.join(tools, 'apt-get'), 'exec sleep 60')
    vi.stubEnv('PATH', tools)
    const caller = new AbortController()
    const giveUp = provideBubblewrap(temporaryFolder(), undefined, caller.signal)
    caller.abort(new Error('enough'))
    await expect(giveUp).rejects.toThrow('enough')
  })
})

function toolFolder(): string {
  const dir = temporaryFolder()
  for (const tool of readdirSync('/usr/bin').filter((name) => name !== 'bwrap')) {
    symlinkSync(path.join('/usr/bin', tool), path.join(dir, tool))
  }
  return dir
}

// Tools of the folder are links, through which writing would change the machine's own: they are replaced.
function script(file: string, body: string): void {
  const draft = `${file}.draft`
  writeFileSync(draft, `#!/bin/sh\n${body}\n`)
  chmodSync(draft, 0o755)
  renameSync(draft, file)
}
