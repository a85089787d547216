import { randomInt } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { StackError } from './errors.ts'

const FIRST = 20_000
const EPHEMERAL_RANGE = '/proc/sys/net/ipv4/ip_local_port_range'

/**
 * A port of 127.0.0.1 that nothing listens on, preferably `preferred`.
 *
 * It lies below the range from which the kernel takes ports for outgoing connections: while a server is down for a
 * moment, such a connection could take its port, and a client that retries there can even connect to itself.
 */
export async function pickPort(preferred?: number): Promise<number> {
  if (preferred !== undefined && (await isFree(preferred))) return preferred
  const end = Math.max(FIRST + 1_000, Math.min(32_768, firstEphemeralPort()))
  for (let tries = 0; tries < 200; tries += 1) {
    const port = randomInt(FIRST, end)
    if (await isFree(port)) return port
  }
  throw new StackError(`found no free port between ${FIRST} and ${end} on 127.0.0.1`)
}

async function isFree(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

function firstEphemeralPort(): number {
  if (!existsSync(EPHEMERAL_RANGE)) return 32_768
  return Number(readFileSync(EPHEMERAL_RANGE, 'utf8').trim().split(/\s+/)[0])
}
