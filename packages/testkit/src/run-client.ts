import { inject } from 'vitest'
import type { RunAddress, RunServers } from './provided.ts'

/** Fetched programs can take their time on the first run of a checkout. */
const START_MAX_MS = 300_000

/** The run that this test process belongs to. Throws when vitest was started without our global set-up. */
export function runAddress(): RunAddress {
  const address = inject('hypercodeRun') as RunAddress | undefined
  if (address === undefined) throw new Error('vitest runs without packages/testkit/src/global-setup.ts in globalSetup')
  return address
}

/** The servers of the run; the first to ask starts them. */
export async function runServers(): Promise<RunServers> {
  const { url, token } = runAddress()
  const response = await fetch(url, {
    headers: { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(START_MAX_MS),
  })
  const body: unknown = await response.json()
  if (!response.ok) throw new Error(`the servers of the test run did not start: ${String(body)}`)
  return body as RunServers
}
