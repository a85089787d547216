import { hostname } from 'node:os'
import Docker from 'dockerode'

/**
 * A client of the engine at `unix:///path`, `tcp://host:port` or `http://host:port`, and the name of that engine.
 *
 * @throws {RangeError} for any other address
 */
export function connectEngine(url: string): { docker: Docker; host: string } {
  const address = URL.parse(url)
  if (address?.protocol === 'unix:' && address.pathname !== '') {
    // A socket of this machine; the same path on another machine is another engine.
    return { docker: new Docker({ socketPath: address.pathname }), host: `${hostname()}:${address.pathname}` }
  }
  if ((address?.protocol === 'tcp:' || address?.protocol === 'http:') && address.hostname !== '') {
    const port = address.port === '' ? '2375' : address.port
    const docker = new Docker({ protocol: 'http', host: address.hostname, port })
    return { docker, host: `${address.hostname}:${port}` }
  }
  throw new RangeError('the address of a Docker engine is unix:///path, tcp://host:port or http://host:port')
}

/** The HTTP status that an engine refused with; undefined when it could not be asked. */
export function statusOf(error: unknown): number | undefined {
  return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number'
    ? error.statusCode
    : undefined
}

/** Waits for `work`, and takes an answer with one of these statuses for done. Answers whether it was done now. */
export async function orAlready(statuses: readonly number[], work: Promise<unknown>): Promise<boolean> {
  try {
    await work
    return true
  } catch (error) {
    if (statuses.includes(statusOf(error) ?? 0)) return false
    throw error
  }
}
