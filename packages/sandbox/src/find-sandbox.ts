import { existsSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { SandboxUnavailable } from './errors.ts'
import { highestInherited } from './inherited-descriptors.ts'
import { canMeasureTrees } from './process-tree.ts'
import { runCommand } from './run-command.ts'
import type { Sandbox } from './sandbox.ts'
import { searchPath } from './search-path.ts'
import { seccompFilter } from './seccomp.ts'
import type { Bubblewrap } from './start-bubblewrap.ts'

const PROBE_TIMEOUT_MS = 5_000

/**
 * A sandbox that was seen to work on this machine as this user, or undefined: no bubblewrap (0.8 or newer), namespaces that
 * are forbidden, a machine that is neither x64 nor arm64 Linux. Then no command may be run.
 *
 * @param options.path the only bubblewrap that will do; without it, those on the PATH
 */
export async function findSandbox(options: { readonly path?: string } = {}): Promise<Sandbox | undefined> {
  const seccomp = process.platform === 'linux' ? seccompFilter(process.arch) : undefined
  if (seccomp === undefined || !canMeasureTrees()) return undefined
  for (const file of options.path === undefined ? candidates() : [options.path]) {
    const bubblewrap = { path: path.resolve(file), seccomp, highestInherited: highestInherited() }
    if (await isolates(bubblewrap)) {
      return { kind: 'bubblewrap', run: async (command) => await runCommand(bubblewrap, command) }
    }
  }
  return undefined
}

function candidates(): string[] {
  const folders = searchPath()
    .split(path.delimiter)
    .filter((dir) => path.isAbsolute(dir))
  return [...new Set(folders)].map((dir) => path.join(dir, 'bwrap')).filter((file) => existsSync(file))
}

/** Runs a real command and believes what the kernel says of it, not what bubblewrap promises. */
async function isolates(bubblewrap: Bubblewrap): Promise<boolean> {
  const workspace = realpathSync(mkdtempSync(path.join(tmpdir(), 'hc-sandbox-')))
  try {
    const argv = ['/bin/sh', '-c', 'cat /proc/self/status /proc/net/route && echo written > here'] as const
    const result = await runCommand(bubblewrap, { argv, workspace, timeoutMs: PROBE_TIMEOUT_MS })
    return result.exitCode === 0 && existsSync(path.join(workspace, 'here')) && isConfined(result.stdout)
  } catch (error) {
    if (error instanceof SandboxUnavailable) return false
    throw error
  } finally {
    rmSync(workspace, { recursive: true, force: true })
  }
}

/** No capability now or ever, no gain of privileges, our filter, a pid namespace of its own, and no route anywhere. */
function isConfined(status: string): boolean {
  const field = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? ''
  const capabilities = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map((name) => field(name))
  return (
    capabilities.every((set) => /^0+$/.test(set)) &&
    field('NoNewPrivs') === '1' &&
    field('Seccomp') === '2' &&
    Number(field('NSpid')) < 10 &&
    !/^(?!Iface)\S+\t[0-9A-F]{8}\t/m.test(status)
  )
}
