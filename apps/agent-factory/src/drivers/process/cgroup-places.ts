import { accessSync, constants, readFileSync } from 'node:fs'
import path from 'node:path'
import { codeOf, unless } from '../errors.ts'

/** A control group below which groups of our own can be made, for one controller or for both. */
export interface CgroupPlace {
  readonly version: 1 | 2
  /** Where this process is now. */
  readonly home: string
  readonly folder: string
  readonly controllers: ReadonlySet<Controller>
}

const CONTROLLERS = ['memory', 'cpu'] as const
export type Controller = (typeof CONTROLLERS)[number]

interface Mount {
  readonly type: 'cgroup' | 'cgroup2'
  /** The part of the hierarchy that is mounted. */
  readonly root: string
  readonly point: string
  readonly options: ReadonlySet<string>
}

/**
 * Where this process may limit others: below its own control groups. With version 2 a group that holds processes cannot
 * hand controllers on, so there its parent is asked too (systemd: `Delegate=yes` with `DelegateSubgroup=`).
 */
export function findCgroupPlaces(): CgroupPlace[] {
  const mounts = readMounts()
  const own = ownGroups()
  return mounts.flatMap((mount) => (mount.type === 'cgroup' ? versionOne(mount, own) : versionTwo(mount, own)))
}

function versionOne(mount: Mount, own: ReadonlyMap<string, string>): CgroupPlace[] {
  const controllers = CONTROLLERS.filter((name) => mount.options.has(name))
  const home = folderOf(mount, own.get(controllers[0] ?? 'none'))
  if (home === undefined || !isWritable(home)) return []
  return [{ version: 1, home, folder: home, controllers: new Set(controllers) }]
}

function versionTwo(mount: Mount, own: ReadonlyMap<string, string>): CgroupPlace[] {
  const home = folderOf(mount, own.get(''))
  if (home === undefined) return []
  const folders = home === mount.point ? [home] : [home, path.dirname(home)]
  return folders
    .map((folder) => ({ version: 2 as const, home, folder, controllers: delegated(folder) }))
    .filter(({ folder, controllers }) => controllers.size > 0 && isWritable(folder))
}

/** Which controllers the children of `folder` have, or can be given now by whoever may write there. */
function delegated(folder: string): ReadonlySet<Controller> {
  const words = (file: string): string[] =>
    (unless(['ENOENT', 'EACCES'], () => readFileSync(path.join(folder, file), 'utf8')) ?? '').trim().split(/\s+/)
  const present = new Set([...words('cgroup.controllers'), ...words('cgroup.subtree_control')])
  return new Set(CONTROLLERS.filter((name) => present.has(name)))
}

/** The controllers and the group of this process in each hierarchy; `''` is that of version 2. */
function ownGroups(): Map<string, string> {
  const lines = (unless(['ENOENT'], () => readFileSync('/proc/self/cgroup', 'utf8')) ?? '').trim().split('\n')
  return new Map(
    lines.flatMap((line) => {
      const [, controllers = '', group = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
      return controllers.split(',').map((name) => [name, group] as const)
    }),
  )
}

function readMounts(): Mount[] {
  const lines = (unless(['ENOENT'], () => readFileSync('/proc/self/mountinfo', 'utf8')) ?? '').split('\n')
  return lines.flatMap((line) => {
    const [, root, point, type, options] = /^\d+ \d+ \S+ (\S+) (\S+) .*? - (cgroup2?) \S+ (\S+)$/.exec(line) ?? []
    if (root === undefined || point === undefined || (type !== 'cgroup' && type !== 'cgroup2')) return []
    return [{ root, point, type, options: new Set(options?.split(',')) }]
  })
}

/** In a container the mount may show only a part of the hierarchy, and the group may lie outside of it. */
function folderOf(mount: Mount, group: string | undefined): string | undefined {
  if (group === undefined) return undefined
  const below = mount.root === '/' ? group : group === mount.root ? '/' : cut(group, `${mount.root}/`)
  return below === undefined || below.startsWith('/..') ? undefined : path.join(mount.point, below).replace(/\/$/, '')
}

const cut = (text: string, prefix: string): string | undefined =>
  text.startsWith(prefix) ? text.slice(prefix.length - 1) : undefined

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK)
    return true
  } catch (error) {
    if (['ENOENT', 'EACCES', 'EROFS', 'EPERM'].includes(codeOf(error) ?? '')) return false
    throw error
  }
}
