import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, test } from 'vitest'
import { FolderInUseError, lockFolder } from '../src/index.ts'
import { temporaryFolder } from './helpers.ts'

// Goal: a folder has one owner; whoever waits for it waits no longer than it is worth.
describe('lockFolder', () => {
  test('refuses a second owner at once when the first is up, naming it', async () => {
    const dir = temporaryFolder()
    const lock = await lockFolder(dir, 0)
    lock.mark('up')
    const from = Date.now()
    const refusal = await lockFolder(dir, 60_000).catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(FolderInUseError)
    expect(refusal).toMatchObject({ ownerPid: process.pid })
    expect(Date.now() - from).toBeLessThan(5_000)
    lock.release()
    ;(await lockFolder(dir, 0)).release()
  })

  test('waits for an owner that is stopping, but not for ever', async () => {
    const dir = temporaryFolder()
    const lock = await lockFolder(dir, 0)
    lock.mark('stopping')
    await expect(lockFolder(dir, 300)).rejects.toBeInstanceOf(FolderInUseError)
    const next = lockFolder(dir, 20_000)
    lock.release()
    lock.release()
    ;(await next).release()
  })

  test('is not fooled by what a dead owner has written', async () => {
    const dir = temporaryFolder()
    writeFileSync(path.join(dir, 'owner.json'), JSON.stringify({ pid: process.pid, phase: 'up' }))
    await expect(lockFolder(dir, 0)).resolves.toBeDefined()
  })

  test('nor while the next owner holds the lock and has not written yet', async () => {
    const dir = temporaryFolder()
    const next = new DatabaseSync(path.join(dir, 'lock'))
    next.exec('begin exclusive')
    const dead = { pid: process.pid, startTime: 'of another process', phase: 'up' }
    writeFileSync(path.join(dir, 'owner.json'), JSON.stringify(dead))
    const refusal = await lockFolder(dir, 300).catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(FolderInUseError)
    expect(refusal).toMatchObject({
      ownerPid: undefined,
      message: expect.stringContaining('another process') as string,
    })
    const third = lockFolder(dir, 20_000)
    next.close()
    ;(await third).release()
  })

  test.skipIf(process.getuid?.() === 0)('says so when the folder belongs to somebody else', async () => {
    const dir = path.join(temporaryFolder(), 'closed')
    mkdirSync(dir)
    chmodSync(dir, 0o500)
    await expect(lockFolder(dir, 0)).rejects.toThrow(/does the folder belong to another user/)
  })
})
