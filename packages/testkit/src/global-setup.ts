/**
 * One private Postgres, PgBouncer and Redis for each run of vitest. They start when the first test file asks for them, so a run of
 * pure unit tests starts nothing, and they end with the run, however it ends.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestProject } from 'vitest/node'
import type { RunServers } from './provided.ts'
import { startRunServers } from './run-servers.ts'

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const token = randomBytes(24).toString('base64url')
  let starting: ReturnType<typeof startRunServers> | undefined

  const answer = async (authorization: string | undefined): Promise<{ status: number; body: RunServers | string }> => {
    if (!sameText(authorization ?? '', `Bearer ${token}`)) return { status: 401, body: 'not yours' }
    try {
      starting ??= startRunServers()
      return { status: 200, body: (await starting).servers }
    } catch (error) {
      return { status: 500, body: error instanceof Error ? (error.stack ?? error.message) : String(error) }
    }
  }

  const server = createServer((request, response) => {
    request.resume()
    answer(request.headers.authorization).then(
      ({ status, body }) => {
        response
          .writeHead(status, { 'content-type': 'application/json', connection: 'close' })
          .end(JSON.stringify(body))
      },
      (error: unknown) => response.destroy(error instanceof Error ? error : undefined),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  project.provide('hypercodeRun', {
    url: `http://127.0.0.1:${port}/`,
    token,
    jwtSecret: randomBytes(48).toString('base64url'),
  })

  return async () => {
    server.close()
    server.closeAllConnections()
    if (starting === undefined) return
    const [started] = await Promise.allSettled([starting])
    if (started.status === 'fulfilled') await started.value.stop()
  }
}

const sameText = (a: string, b: string): boolean =>
  a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b))
