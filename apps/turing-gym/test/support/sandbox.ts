import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { dataHome, provideBubblewrap } from '@hypercode/local-stack'
import { findSandbox } from '@hypercode/sandbox'
import type { Sandbox } from '@hypercode/sandbox'

const checkout = fileURLToPath(new URL('../../../..', import.meta.url))

/** The sandbox as every start gets it; a test that runs commands has to have one. */
export async function workingSandbox(): Promise<Sandbox> {
  const runtime = join(dataHome(checkout).dir, 'runtime')
  const path = await provideBubblewrap(runtime, (line) => process.stderr.write(`${line}\n`))
  const sandbox = path === undefined ? undefined : await findSandbox({ path })
  if (sandbox === undefined) throw new Error('bubblewrap does not work on this machine')
  return sandbox
}
