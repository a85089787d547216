import { basename } from 'node:path'
import type { BlueprintManifest, Fault } from '@hypercode/contracts'

type Entry = BlueprintManifest['spec']['entry']

const SHELLS: ReadonlySet<string> = new Set([
  ...['sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'fish', 'csh', 'tcsh', 'busybox', 'env', 'xargs', 'sudo', 'su'],
  ...['cmd', 'cmd.exe', 'powershell', 'powershell.exe', 'pwsh'],
])
const MODULE_FILE = /\.(js|mjs|cjs|ts|mts|cts)$/
/** What only a shell would make something of. */
const SHELL_LINE = /[\s;&|<>$`*?"'\\(){}]/

/** An entry is one thing to run and args are words for it; neither is ever a line for a shell. */
export function entryFaults(entry: Entry, args: readonly string[], allowsPath: (path: string) => boolean): Fault[] {
  return [...('path' in entry ? pathFaults(entry.path, allowsPath) : []), ...argFaults(entry, args)]
}

function pathFaults(path: string, allowsPath: (path: string) => boolean): Fault[] {
  const pointer = '/spec/entry/path'
  if (SHELL_LINE.test(path))
    return [{ pointer, message: 'looks like a line for a shell', fix: 'Name one file; its arguments go into args.' }]
  if (!MODULE_FILE.test(path))
    return [{ pointer, message: 'is no JavaScript or TypeScript module', fix: 'Name a .js, .mjs, .cjs or .ts file.' }]
  if (path.split('/').some((part) => part === '..' || part === '.'))
    return [{ pointer, message: 'has a dot segment', fix: 'Write the path as it is.' }]
  if (!allowsPath(path))
    return [
      {
        pointer,
        message: 'is no file in a folder that entries may come from',
        fix: 'FACTORY_ENTRY_ROOTS lists those folders.',
      },
    ]
  return []
}

/** An image may have a shell inside, and `sh -c` would make args a line for it. */
function argFaults(entry: Entry, args: readonly string[]): Fault[] {
  if (!('image' in entry) || args[0] === undefined || !SHELLS.has(basename(args[0]))) return []
  return [{ pointer: '/spec/args/0', message: 'is a shell', fix: 'Give the words of the command themselves.' }]
}
