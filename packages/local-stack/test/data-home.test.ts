import { createHash } from 'node:crypto'
import { mkdirSync, realpathSync, rmSync, statSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { dataHome } from '../src/index.ts'
import { query, stackIn, temporaryFolder } from './helpers.ts'

const isRoot = process.getuid?.() === 0

// Goal: the servers find a place that their user can enter, and nobody else can choose it for them.
describe('dataHome', { timeout: 90_000 }, () => {
  test('is .hypercode in a checkout that the servers can enter', () => {
    const root = temporaryFolder()
    expect(dataHome(root)).toEqual({ dir: path.join(root, '.hypercode'), moved: undefined })
  })

  test.runIf(isRoot)('moves to /var/tmp for a checkout that only root can enter, and servers run there', async () => {
    const root = path.join(temporaryFolder(), 'checkout')
    mkdirSync(root, { mode: 0o700 })
    const home = dataHome(root)
    onTestFinished(() => rmSync(home.dir, { recursive: true, force: true }))
    expect(path.dirname(home.dir)).toBe('/var/tmp')
    expect(home.moved).toContain(root)
    expect(dataHome(root).dir).toBe(home.dir)
    const stack = await stackIn(path.join(home.dir, 'stack'))
    expect(await query(stack.databaseUrl, 'select 1 as one')).toEqual([{ one: 1 }])
    await stack.stop()
  })

  test.runIf(isRoot)('refuses a folder in /var/tmp that somebody else has put there', () => {
    const root = path.join(temporaryFolder(), 'checkout')
    mkdirSync(root, { mode: 0o700 })
    const hash = createHash('sha256').update(realpathSync(root)).digest('hex').slice(0, 12)
    const expected = path.join('/var/tmp', `hypercode-${hash}`)
    const elsewhere = temporaryFolder()
    symlinkSync(elsewhere, expected)
    onTestFinished(() => rmSync(expected, { force: true }))
    const mode = statSync(elsewhere).mode
    expect(() => dataHome(root)).toThrow(/is not a folder of ours/)
    expect(statSync(elsewhere).mode).toBe(mode)
  })
})
