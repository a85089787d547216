import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { waitFor } from '@hypercode/testkit/tools'
import { describe, expect } from 'vitest'
import type { CgroupPlace } from '../../src/drivers/process/cgroup-places.ts'
import { findCgroupPlaces } from '../../src/drivers/process/cgroup-places.ts'
import { areEmpty, killCgroups, makeCgroup, removeCgroups } from '../../src/drivers/process/cgroup.ts'
import { MIB, isRunning, test } from './setup.ts'

const limits = { cpu: 0.25, memoryBytes: 64 * MIB }
const [place] = findCgroupPlaces()
/** Where version 2 is mounted, with controllers or without. */
const unified = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'].find((folder) =>
  existsSync(path.join(folder, 'cgroup.subtree_control')),
)

describe.runIf(place !== undefined)('control groups of this machine', () => {
  test('hold what is started inside, and let go of who started it', async () => {
    const cgroup = makeCgroup(randomUUID(), limits)
    const before = readFileSync('/proc/self/cgroup', 'utf8')
    const child = cgroup.around(() => spawn('/bin/sleep', ['600']))
    try {
      expect(readFileSync('/proc/self/cgroup', 'utf8')).toBe(before)
      for (const folder of cgroup.folders) {
        expect((await readFile(path.join(folder, 'cgroup.procs'), 'utf8')).trim()).toBe(`${child.pid}`)
      }
      expect(areEmpty(cgroup.folders)).toBe(false)
    } finally {
      await removeCgroups(cgroup.folders)
    }
    expect(isRunning(child.pid ?? 0)).toBe(false)
    expect(cgroup.folders.filter((folder) => existsSync(folder))).toEqual([])
  })

  test('are left also when what should start inside does not', async () => {
    const cgroup = makeCgroup(randomUUID(), limits)
    const fail = (): never => {
      throw new Error('not today')
    }
    expect(() => cgroup.around(fail)).toThrow('not today')
    expect(areEmpty(cgroup.folders)).toBe(true)
    await removeCgroups(cgroup.folders)
  })
})

test('where nothing can be made, nothing is claimed to be enforced', () => {
  const nowhere: CgroupPlace = { version: 1, home: '/', folder: '/not/there', controllers: new Set(['memory', 'cpu']) }
  const cgroup = makeCgroup(randomUUID(), limits, [nowhere])
  expect(cgroup).toMatchObject({ folders: [], enforced: new Set() })
  expect(cgroup.around(() => 7)).toBe(7)
})

describe('version 2', () => {
  // The files of a folder stand in for those of the kernel: this shows what is written, not what it does.
  test('gets its limits in its own files', async ({ folder }) => {
    const [home, parent] = [path.join(folder, 'service', 'main'), path.join(folder, 'service')]
    await mkdir(home, { recursive: true })
    const launchId = randomUUID()
    const controllers = new Set(['memory', 'cpu'] as const)
    const cgroup = makeCgroup(launchId, limits, [{ version: 2, home, folder: parent, controllers }])
    const own = path.join(parent, `hypercode-${launchId}`)
    expect(cgroup).toMatchObject({ folders: [own], enforced: controllers })
    expect(await readFile(path.join(parent, 'cgroup.subtree_control'), 'utf8')).toBe('+memory +cpu')
    expect(await readFile(path.join(own, 'memory.max'), 'utf8')).toBe(`${64 * MIB}`)
    expect(await readFile(path.join(own, 'cpu.max'), 'utf8')).toBe('25000 100000')
    cgroup.around(() => undefined)
    for (const group of [own, home])
      expect(await readFile(path.join(group, 'cgroup.procs'), 'utf8')).toBe(`${process.pid}`)
  })

  test.runIf(unified !== undefined && process.getuid?.() === 0)(
    'is ended and removed by the kernel’s own switch',
    async () => {
      const own = path.join(unified ?? '', `hypercode-${randomUUID()}`)
      mkdirSync(own)
      const child = spawn('/bin/sleep', ['600'])
      try {
        writeFileSync(path.join(own, 'cgroup.procs'), `${child.pid}`)
        expect(existsSync(path.join(own, 'cgroup.kill'))).toBe(true)
        killCgroups([own])
        await waitFor(() => !isRunning(child.pid ?? 0), { what: 'it is gone' })
        await removeCgroups([own])
        expect(existsSync(own)).toBe(false)
      } finally {
        child.kill('SIGKILL')
        if (existsSync(own)) rmdirSync(own)
      }
    },
  )
})
