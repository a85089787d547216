import { findSandbox } from '../src/index.ts'

/** A process of its own with a sandbox: `node outsider.ts BWRAP WORKSPACE SCRIPT [PROCESSES]` prints the result as JSON. */
const [, , bwrap = '', workspace = '', script = '', processes = '256'] = process.argv
const sandbox = await findSandbox({ path: bwrap })
const result = await sandbox?.run({
  argv: ['/bin/sh', '-c', script],
  workspace,
  timeoutMs: 60_000,
  processesMax: Number(processes),
})
process.stdout.write(JSON.stringify(result ?? null))
