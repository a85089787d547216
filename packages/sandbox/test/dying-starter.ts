import { setTimeout as sleep } from 'node:timers/promises'
import { findSandbox } from '../src/index.ts'

/** A process that is killed so many milliseconds after it has started a command: `node dying-starter.ts BWRAP WORKSPACE MS`. */
const [, , bwrap = '', workspace = '', ms = '0'] = process.argv
const sandbox = await findSandbox({ path: bwrap })
const running = sandbox?.run({ argv: ['/bin/sh', '-c', 'sleep 300'], workspace, timeoutMs: 600_000 })
if (Number(ms) > 0) await sleep(Number(ms))
process.kill(process.pid, 'SIGKILL')
await running
