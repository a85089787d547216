/**
 * `run-contender.ts FILE VARIANT SHARE WORKLOAD…`: one contender on servers of its own, in a process of its own, one workload after the
 * other. Tells its parent `{ workload, figure }` for each and `{ settings }` at the start.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { dataHome, startStack } from '../../../packages/local-stack/src/index.ts'
import type { StartContender } from './contender.ts'
import { WORKLOADS } from './workloads.ts'
import type { WorkloadName } from './workloads.ts'

const ROOT = path.resolve(import.meta.dirname, '../../..')

const [file = '', variant = '', share = '1', ...workloads] = process.argv.slice(2)
const tell = async (message: object): Promise<void> =>
  new Promise((resolve) => {
    if (process.send === undefined) process.stdout.write(`${JSON.stringify(message)}\n`, () => resolve())
    else process.send(message, undefined, {}, () => resolve())
  })
const undo: (() => Promise<unknown> | void)[] = []
const cleanUp = async (): Promise<void> => {
  for (const step of undo.splice(0).reverse()) await step()
}
process.once('disconnect', () => {
  cleanUp().then(
    () => process.exit(1),
    () => process.exit(1),
  )
})

try {
  const { start } = (await import(new URL(file, import.meta.url).href)) as { start: StartContender }
  const contender = await start({ openServers, dir: emptyFolder(), variant })
  undo.push(async () => contender.stop())
  await tell({ settings: contender.settings })
  for (const workload of workloads as WorkloadName[]) {
    await tell({ workload, figure: await WORKLOADS[workload].measure(contender, Number(share)) })
  }
  await cleanUp()
  process.exit(0)
} catch (error) {
  process.stderr.write(`${file}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  await cleanUp()
  process.exit(1)
}

function emptyFolder(): string {
  const dir = mkdtempSync(path.join(tmpdir(), 'hypercode-peers-'))
  undo.push(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** Durable ones, on the same disk for everybody; they stop with this process, however it ends. */
async function openServers(): Promise<{ databaseUrl: string; redisUrl: string }> {
  const stack = await startStack({
    dir: mkdtempSync(path.join(tmpdir(), 'hypercode-peers-')),
    runtimeDir: path.join(dataHome(ROOT).dir, 'runtime'),
    durable: true,
    ephemeral: true,
  })
  undo.push(async () => stack.stop())
  return { databaseUrl: stack.directDatabaseUrl, redisUrl: stack.redisUrl }
}
