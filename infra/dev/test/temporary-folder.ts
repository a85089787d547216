import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { onTestFinished } from 'vitest'

/** A folder that is gone after the test. */
export function temporaryFolder(): string {
  const dir = mkdtempSync(path.join(tmpdir(), 'hc-dev-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** Waits until `check` is true, at most `waitMs`. */
export async function until(check: () => boolean, waitMs = 10_000): Promise<void> {
  const deadline = Date.now() + waitMs
  while (!check()) {
    if (Date.now() >= deadline) throw new Error(`not true within ${waitMs} ms: ${check.toString()}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
