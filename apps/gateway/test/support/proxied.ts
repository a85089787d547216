/** Tests of a gateway before one service that they script. */
import { connect } from 'node:net'
import { test as base } from './gateway.ts'
import type { TestGateway } from './gateway.ts'
import { startUpstream } from './upstream.ts'
import type { TestUpstream } from './upstream.ts'

export const test = base
  .extend('upstream', async ({ task }, { onCleanup }): Promise<TestUpstream> => {
    void task
    const upstream = await startUpstream()
    onCleanup(async () => await upstream.close())
    return upstream
  })
  .extend('gateway', async ({ startGateway, upstream }): Promise<TestGateway> => {
    return await startGateway({ REGISTRY_URL: upstream.url, ORCHESTRATOR_URL: upstream.url })
  })
  .extend('token', ({ tokenFor }) =>
    tokenFor(['mission:read', 'mission:write', 'task:claim', 'agent:write', 'agent:read']),
  )

/** Bytes as they are, for what no HTTP client would send. */
export async function raw(url: string, request: string): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.write(request)
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}
