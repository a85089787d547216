import { Agent, request } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { newId } from '@hypercode/contracts'
import type { ClaimedTask } from '@hypercode/contracts'
import { signTestToken, waitFor } from '@hypercode/testkit'
import { expect } from 'vitest'
import { crewOf, stillTest as test } from '../harness.ts'
import type { AgentCaller, Stage } from '../harness.ts'

/** Long polls over a real socket. */
async function line(stage: Stage, agent: AgentCaller) {
  const { app } = stage.orchestrator
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const sockets = new Set<Socket>()
  app.server.on('connection', (socket) => sockets.add(socket))
  const token = signTestToken({ subject: agent.subject, tenantId: agent.owner.id, scopes: ['task:claim'] })
  const http = new Agent({ keepAlive: true, maxSockets: 1 })
  const poll = (waitMs: number, signal?: AbortSignal): Promise<number> =>
    new Promise((resolve, reject) => {
      const sent = request(
        {
          agent: http,
          port,
          method: 'POST',
          path: '/v1/claims',
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          ...(signal === undefined ? {} : { signal }),
        },
        (answer: IncomingMessage) => {
          answer.resume()
          answer.on('end', () => resolve(answer.statusCode ?? 0))
        },
      )
      sent.on('error', reject)
      sent.end(JSON.stringify({ claimId: newId(), incarnation: 1, max: 1, waitMs }))
    })
  return { poll, sockets, close: () => http.destroy() }
}

test('a connection that is used again and again gathers nothing', async ({ stage }) => {
  const { poll, sockets, close } = await line(stage, await stage.agent(['work']))
  await poll(0)
  const [socket] = sockets as unknown as [Socket]
  const before = socket.listenerCount('close')
  for (let turn = 0; turn < 30; turn += 1) expect(await poll(1)).toBe(200)
  expect(sockets.size).toBe(1)
  expect(socket.listenerCount('close')).toBe(before)
  close()
})

test('a caller that hangs up waits no more, and is given nothing', async ({ stage }) => {
  const { poll, close } = await line(stage, await stage.agent(['work']))
  const caller = new AbortController()
  const claim = poll(20_000, caller.signal)
  await waitFor(() => stage.orchestrator.engine.desk.waiting === 1, { what: 'the claim waits' })
  caller.abort()
  await expect(claim).rejects.toThrow('aborted')
  await waitFor(() => stage.orchestrator.engine.desk.waiting === 0, { what: 'the claim is gone' })
  const mission = await stage.submit(crewOf('x', [{ id: 'a' }]))
  expect((await stage.tasks(mission.id))[0]?.state).toBe('queued')
  close()
})

test('a caller that hangs up while it waits for the end of its mission stops nothing', async ({ stage, tenant }) => {
  const { app } = stage.orchestrator
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const token = signTestToken({ subject: newId(), tenantId: tenant.id, scopes: ['mission:write', 'mission:read'] })
  const caller = new AbortController()
  const submitted = fetch(`${url}/v1/missions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', prefer: 'wait=60' },
    body: JSON.stringify({ manifest: crewOf('x', [{ id: 'a' }, { id: 'b', dependsOn: ['a'] }]) }),
    signal: caller.signal,
  })
  const agent = await stage.agent(['work'])
  const [first] = (await agent.claim()) as [ClaimedTask]
  caller.abort()
  await expect(submitted).rejects.toThrow('aborted')
  await agent.complete(first)
  const [second] = (await agent.claim()) as [ClaimedTask]
  await agent.complete(second)
  expect((await stage.mission(first.missionId)).state).toBe('completed')
})
