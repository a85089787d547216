import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { ENTRIES } from '../src/entries.ts'

const HOME = path.resolve(import.meta.dirname, '..')
const read = (file: string): string => readFileSync(path.join(HOME, file), 'utf8')

// Goal: what is compared is fixed to the version, and comes from wherever the person's registry is.
test('every peer is pinned, and the lockfile names no host', () => {
  const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> }
  for (const { packageName, file } of ENTRIES) {
    if (packageName !== undefined) expect(dependencies[packageName], file).toMatch(/^\d+\.\d+\.\d+$/)
    expect(existsSync(path.join(HOME, 'src', file)), file).toBe(true)
  }
  expect(read('pnpm-lock.yaml')).not.toMatch(/https?:|tarball:/)
})

test('the workspace of the repository does not know the folder', () => {
  expect(read('../../pnpm-workspace.yaml')).not.toContain('infra/bench')
  expect(read('../../pnpm-lock.yaml')).not.toContain('bullmq')
})
