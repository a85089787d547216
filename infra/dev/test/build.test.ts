import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { runTool } from '../src/build.ts'
import { temporaryFolder, until } from './temporary-folder.ts'

test('a tool that is interrupted is gone when that is reported, even if it takes no notice of SIGTERM', async () => {
  const pidFile = path.join(temporaryFolder(), 'pid')
  const program = `process.on('SIGTERM', () => undefined)
    setInterval(() => undefined, 1000)
    require('node:fs').writeFileSync(${JSON.stringify(pidFile)}, String(process.pid))`
  const stop = new AbortController()
  const interrupt = async (): Promise<void> => {
    await until(() => existsSync(pidFile) && readFileSync(pidFile, 'utf8') !== '')
    stop.abort()
  }
  const run = runTool('.', process.execPath, ['-e', program], stop.signal)
  await Promise.all([expect(run).rejects.toThrow(/abort/), interrupt()])
  expect(() => process.kill(Number(readFileSync(pidFile, 'utf8')), 0)).toThrow('ESRCH')
})

test('a tool that is not there is an error and not a result', async () => {
  await expect(runTool('.', 'there-is-no-such-tool', [])).rejects.toThrow('ENOENT')
})
