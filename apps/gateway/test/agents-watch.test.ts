import { CloudEvent } from '@hypercode/contracts'
import { Value } from '@sinclair/typebox/value'
import { describe, expect } from 'vitest'
import { seqs } from './support/event-source.ts'
import { addAgentEvent } from './support/missions.ts'
import { arrived, test } from './support/following.ts'

describe('GET /v1/agents/watch', () => {
  test('starts now, from the beginning, or after an event, and shows no other tenant’s agents', async ({
    startGateway,
    db,
    tenant,
    secondTenant,
    hint,
    follow,
  }) => {
    const gateway = await startGateway()
    await addAgentEvent(db, tenant.id, 'agent.registered')
    await addAgentEvent(db, tenant.id, 'agent.health.changed')
    await addAgentEvent(db, secondTenant.id, 'agent.registered')
    const now = await follow(gateway, '/v1/agents/watch')
    const all = await follow(gateway, '/v1/agents/watch?cursor=0')
    const after = await follow(gateway, '/v1/agents/watch?cursor=0', 1)
    await arrived(all, 2)
    await hint(await addAgentEvent(db, secondTenant.id, 'agent.draining'))
    await hint(await addAgentEvent(db, tenant.id, 'agent.stopped'))
    await Promise.all([arrived(now, 1), arrived(all, 3), arrived(after, 2)])

    expect([seqs(now), seqs(all), seqs(after)]).toEqual([[3], [1, 2, 3], [2, 3]])
    // One who saw no event yet can come back all the same.
    expect(now.text).toMatch(/^retry: 1000\n\nid: 2\n\n/)
    const { event } = now.events[0] as (typeof now.events)[number]
    expect([...Value.Errors(CloudEvent, event)]).toEqual([])
    expect(event).toMatchObject({
      id: `${tenant.id}/agents/3`,
      type: 'hypercode.agent.stopped.v1',
      tenantid: tenant.id,
      data: { reason: 'test', agentId: expect.any(String), instanceId: expect.any(String) },
    })
  })
})
