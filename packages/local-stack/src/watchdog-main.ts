import { rmSync } from 'node:fs'
import path from 'node:path'
import { lockFolder } from './folder-lock.ts'
import { stopLeftovers } from './leftovers.ts'
import { readRecords } from './server-records.ts'

// Started by `startWatchdog`: our input ends when the starter does. What it wrote before says whether it said goodbye.
const dir = process.argv[2]
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)

let goodbye = ''
for await (const chunk of process.stdin) goodbye += String(chunk)
if (goodbye !== 'done' && dir !== undefined) await cleanUp(dir)

async function cleanUp(folder: string): Promise<void> {
  const lock = await lockFolder(folder, 30_000)
  const recorded = Object.values(readRecords(folder)).flatMap(({ process: identity }) => identity ?? [])
  await stopLeftovers(
    [path.join(folder, 'pgbouncer'), path.join(folder, 'redis'), path.join(folder, 'postgres')],
    recorded,
  )
  rmSync(folder, { recursive: true, force: true })
  lock.release()
}
