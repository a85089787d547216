import { existsSync, lstatSync, readlinkSync, realpathSync } from 'node:fs'
import path from 'node:path'
import type { Limits } from './command-limits.ts'
import type { SandboxCommand } from './sandbox.ts'

/** File descriptors on which bubblewrap reads its set-up and writes what became of it. */
export const ARGUMENTS_FD = 3
export const SECCOMP_FD = 4
export const STATUS_FD = 5
const FIRST_FILE_FD = 6

/** The accounts and names that programs look up; the real ones are nobody's business inside. */
const ETC_FILES: readonly (readonly [file: string, content: string])[] = [
  ['/etc/passwd', 'sandbox:x:1000:1000:sandbox:/tmp:/bin/sh\n'],
  ['/etc/group', 'sandbox:x:1000:\n'],
  ['/etc/hosts', '127.0.0.1 localhost sandbox\n::1 localhost\n'],
  ['/etc/nsswitch.conf', 'passwd: files\ngroup: files\nhosts: files\n'],
]

/** What these files hold, in the order of their descriptors, which follow the named ones. */
export const etcContents: readonly string[] = ETC_FILES.map(([, content]) => content)

/**
 * What goes on bubblewrap's command line: everything that isolates, and the command. The rest comes through
 * `ARGUMENTS_FD`, where other users of the machine cannot read it. Should we die before all of that is written, the
 * workspace to start in is missing and bubblewrap refuses, because the workspace stands at its end.
 */
export function commandLine(command: SandboxCommand, limits: Limits): string[] {
  return [
    ...['--unshare-user', '--unshare-pid', '--unshare-net', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try'],
    ...['--disable-userns', '--uid', '1000', '--gid', '1000', '--cap-drop', 'ALL', '--hostname', 'sandbox'],
    ...['--die-with-parent', '--clearenv', '--chdir', command.workspace],
    ...['--seccomp', `${SECCOMP_FD}`, '--json-status-fd', `${STATUS_FD}`, '--args', `${ARGUMENTS_FD}`, '--'],
    ...resourceLimits(limits),
    ...OWN_SESSION,
    ...command.argv,
  ]
}

/** Environment and mounts, each ended by a NUL. */
export function argumentList(command: SandboxCommand, limits: Limits): string {
  const environment = { PATH: insidePath(), HOME: '/tmp', LANG: 'C.UTF-8', ...command.env }
  const options = [
    ...Object.entries(environment).flatMap(([name, value]) => ['--setenv', name, value]),
    ...systemFolders(),
    ...etcFolder(),
    ...procFolder(),
    ...scratchFolders(limits.memoryBytes),
    ...ownFolders(command),
    ...['--remount-ro', '/'],
  ]
  return options.map((option) => `${option}\0`).join('')
}

/** A process may reserve more than all of them may hold: Node alone asks for 600 MB at its start and uses 40. */
const RESERVED_BYTES = 1024 ** 3

/** Only the command: the first process must get its turn before a thousand others, so that it can be killed. */
const LOW_PRIORITY = ['/usr/bin/nice', '-n', '19']

/**
 * What the kernel allows. The number of processes is watched as well, which ends the command (`watchLimits`); here it only
 * stops a bomb from getting far until that happens.
 */
export const kernelProcessesMax = ({ processesMax }: Limits): number => processesMax * 2

/**
 * The command cannot signal bubblewrap as one of its own group. Only the command: were bubblewrap asked for it, its first process
 * would leave the group by which the reaper finds it, before anything else would end it.
 */
const OWN_SESSION = ['/usr/bin/setsid', '--']

/** What the kernel refuses. Core dumps would be handed to a program outside. */
function resourceLimits(limits: Limits): string[] {
  const refused = {
    data: limits.memoryBytes + RESERVED_BYTES,
    nproc: kernelProcessesMax(limits),
    fsize: limits.fileBytesMax,
    nofile: 1024,
    memlock: 65_536,
    msgqueue: 0,
    core: 0,
  }
  return [
    ...LOW_PRIORITY,
    '/usr/bin/prlimit',
    ...Object.entries(refused).map(([name, value]) => `--${name}=${value}`),
    '--',
  ]
}

/** Programs and libraries. Where the machine has merged /bin into /usr, so has the sandbox. */
function systemFolders(): string[] {
  const folders = ['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'].filter((folder) => existsSync(folder))
  return [
    ...['--ro-bind', '/usr', '/usr'],
    ...folders.flatMap((folder) =>
      lstatSync(folder).isSymbolicLink() ? ['--symlink', readlinkSync(folder), folder] : ['--ro-bind', folder, folder],
    ),
  ]
}

function etcFolder(): string[] {
  const real = ['/etc/ld.so.cache', '/etc/ld.so.conf', '/etc/ld.so.conf.d', '/etc/alternatives']
  return [
    ...real.flatMap((file) => ['--ro-bind-try', file, file]),
    ...ETC_FILES.flatMap(([file], index) => ['--ro-bind-data', `${FIRST_FILE_FD + index}`, file]),
  ]
}

/**
 * A /proc of the sandbox's own processes, which nobody can write to: when we are root, so is the command in the eyes of
 * the kernel, and root needs no capability for most of /proc/sys. For the same reason some of its files are covered.
 */
function procFolder(): string[] {
  const secrets = [
    'kcore',
    'keys',
    'kpagecount',
    'kpageflags',
    'kpagecgroup',
    'timer_list',
    'sysrq-trigger',
    'slabinfo',
  ]
  const covered = secrets.map((name) => `/proc/${name}`).filter((file) => existsSync(file))
  return [
    ...['--proc', '/proc'],
    ...covered.flatMap((file) => ['--ro-bind', '/dev/null', file]),
    ...['--remount-ro', '/proc'],
  ]
}

/** What can be written to beside the workspace is memory, so it is bounded as such. */
function scratchFolders(memoryBytes: number): string[] {
  const size = `${Math.ceil(memoryBytes / 8)}`
  return [
    ...['--dev', '/dev', '--size', size, '--tmpfs', '/dev/shm', '--remount-ro', '/dev'],
    ...['--size', size, '--tmpfs', '/tmp'],
  ]
}

/** The outer folders first, so that an inner one shows in them. The workspace comes after what is as deep. */
function ownFolders({ workspace, readOnly = [] }: SandboxCommand): string[] {
  const depth = (entry: string): number => entry.split(path.sep).length
  const binds = [
    ...nodeFolders().map((entry) => ({ flag: '--ro-bind', entry })),
    ...readOnly.map((entry) => ({ flag: '--ro-bind', entry })),
    { flag: '--bind', entry: workspace },
  ]
  return binds.toSorted((a, b) => depth(a.entry) - depth(b.entry)).flatMap(({ flag, entry }) => [flag, entry, entry])
}

/** Where the running Node and its npm are; nothing when they are in /usr. */
function nodeFolders(): string[] {
  const bin = path.dirname(realpathSync(process.execPath))
  if (bin.startsWith('/usr/')) return []
  const npm = path.join(bin, '../lib/node_modules/npm')
  return existsSync(npm) ? [bin, npm] : [bin]
}

function insidePath(): string {
  const own = nodeFolders().slice(0, 1)
  return [...own, '/usr/local/bin', '/usr/bin', '/bin'].join(':')
}
