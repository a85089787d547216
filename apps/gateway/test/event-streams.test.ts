import { CloudEvent, newId } from '@hypercode/contracts'
import { createFaultProxy, createTestTenant, signTestToken, waitFor } from '@hypercode/testkit'
import { Value } from '@sinclair/typebox/value'
import { describe, expect } from 'vitest'
import { seqs, upTo } from './support/event-source.ts'
import { call } from './support/gateway.ts'
import { addMissionEvents } from './support/missions.ts'
import { arrived, test } from './support/following.ts'

describe('GET /v1/missions/{id}/events', () => {
  test('sends what was and what comes, each event as CloudEvents has it', async ({
    startGateway,
    db,
    mission,
    hint,
    follow,
  }) => {
    const gateway = await startGateway()
    await addMissionEvents(db, mission, ['mission.submitted', 'task.queued'], { note: 'line\nbreak' })
    const subscriber = await follow(gateway, `/v1/missions/${mission.id}/events`)
    await arrived(subscriber, 2)
    const sentAt = performance.now()
    await hint(await addMissionEvents(db, mission, ['task.claimed']))
    await arrived(subscriber, 3)

    // By the hint: without it somebody would look after ten seconds.
    expect(performance.now() - sentAt).toBeLessThan(5000)
    expect(subscriber.headers.get('content-type')).toBe('text/event-stream')
    expect(subscriber.headers.get('cache-control')).toBe('no-store')
    expect(subscriber.events.map(({ id }) => id)).toEqual([1, 2, 3])
    for (const { event } of subscriber.events) expect([...Value.Errors(CloudEvent, event)]).toEqual([])
    expect(subscriber.events[1]?.event).toMatchObject({
      id: `${mission.id}/2`,
      type: 'hypercode.task.queued.v1',
      source: `/v1/missions/${mission.id}`,
      tenantid: mission.tenantId,
      correlationid: `corr-${mission.id}`,
      data: { missionId: mission.id, note: 'line\nbreak', n: 2 },
    })
  })

  test('ends after the last event, and at once for one who has seen it', async ({
    startGateway,
    db,
    mission,
    hint,
    follow,
  }) => {
    const gateway = await startGateway()
    const path = `/v1/missions/${mission.id}/events`
    const live = await follow(gateway, path)
    await hint(await addMissionEvents(db, mission, ['task.completed', 'mission.completed']))
    await waitFor(() => live.ended, { what: 'the live stream to end' })
    const late = await follow(gateway, path)
    await waitFor(() => late.ended, { what: 'the late stream to end' })
    const again = await follow(gateway, path, 2)

    expect([seqs(live), seqs(late)]).toEqual([
      [1, 2],
      [1, 2],
    ])
    // A browser that is answered 204 does not come back.
    expect(again.status).toBe(204)
  })

  test('sends a long history whole and in order, also what was added after the end', async ({
    startGateway,
    db,
    mission,
    follow,
  }) => {
    const gateway = await startGateway()
    for (let i = 0; i < 5; i += 1) {
      await addMissionEvents(
        db,
        mission,
        Array.from({ length: 73 }, () => 'task.progress' as const),
      )
    }
    await addMissionEvents(db, mission, ['mission.failed'])
    await addMissionEvents(db, mission, ['deadletter.discarded'])
    const subscriber = await follow(gateway, `/v1/missions/${mission.id}/events`)
    await waitFor(() => subscriber.ended, { what: 'the end' })
    expect(seqs(subscriber)).toEqual(upTo(367))
  })

  // Goal: whoever comes back with Last-Event-ID has every event once, whatever it missed.
  // Method: a subscriber that hangs up at random moments while events are added with and without hints; what it got in all is 1, 2, 3 … n.
  test('is resumed without a gap and without a repeat', async ({ startGateway, db, mission, hint, follow }) => {
    const [first, second] = await Promise.all([startGateway(), startGateway()])
    const path = `/v1/missions/${mission.id}/events`
    let writing = true
    const write = async (): Promise<void> => {
      for (let i = 0; i < 120; i += 1) {
        const row = await addMissionEvents(
          db,
          mission,
          i % 7 === 0 ? ['task.progress', 'task.queued'] : ['task.progress'],
        )
        if (Math.random() < 0.7) await hint(row)
      }
      await hint(await addMissionEvents(db, mission, ['mission.canceled']))
      writing = false
    }
    const written = write()
    const got: number[] = []
    let connections = 0
    for (let ended = false; !ended; connections += 1) {
      const subscriber = await follow(connections % 2 === 0 ? first : second, path, got.at(-1))
      const patience = writing ? Math.random() * 60 : 5000
      const until = performance.now() + patience
      await waitFor(() => subscriber.ended || performance.now() > until, {
        what: 'the moment',
        everyMs: 1,
        timeoutMs: 6000,
      })
      ended = subscriber.ended
      subscriber.close()
      got.push(...seqs(subscriber))
    }
    await written

    expect(got).toEqual(upTo(got.length))
    expect(got.length).toBe(139)
    expect(connections).toBeGreaterThan(3)
  })

  test('a lost, doubled, stale or forged hint changes nothing', async ({
    startGateway,
    db,
    redis,
    keys,
    mission,
    hint,
    follow,
  }) => {
    const gateway = await startGateway()
    const subscriber = await follow(gateway, `/v1/missions/${mission.id}/events`)
    await addMissionEvents(db, mission, ['task.queued']) // its hint is lost
    const row = await addMissionEvents(db, mission, ['task.claimed'])
    for (let i = 0; i < 5; i += 1) await hint(row)
    for (const junk of ['', 'no json', '{}', '[1,null,"x"]', '[{"kind":"mission","missionId":5}]']) {
      await redis.xadd(keys.events, '*', 'hints', junk)
    }
    await redis.xadd(keys.events, '*', 'other', 'field')
    const forged = { ...row.hints[0], seq: 9_000_000, ended: true }
    await redis.xadd(keys.events, '*', 'hints', JSON.stringify([forged]))
    await arrived(subscriber, 2)
    await hint(await addMissionEvents(db, mission, ['task.completed']))
    await arrived(subscriber, 3)

    expect(seqs(subscriber)).toEqual([1, 2, 3])
    expect(subscriber.ended).toBe(false)
  })

  // Goal: with Redis away events still come, in about the time of the poll (R4); when it is back they come at once again.
  test('goes on without Redis', async ({ startGateway, db, redisUrl, mission, hint, follow }) => {
    const fault = await createFaultProxy(redisUrl)
    try {
      const gateway = await startGateway({ REDIS_URL: fault.through(redisUrl) })
      const subscriber = await follow(gateway, `/v1/missions/${mission.id}/events`)
      await hint(await addMissionEvents(db, mission, ['task.queued']))
      await arrived(subscriber, 1)

      await fault.setMode('refuse')
      const sentAt = performance.now()
      await addMissionEvents(db, mission, ['task.claimed'])
      await arrived(subscriber, 2)
      expect(performance.now() - sentAt).toBeLessThan(3000)
      const ready = await call(`${gateway.url}/readyz`)
      expect(ready.status).toBe(200)
      expect(ready.body).toMatchObject({ ready: true, checks: { redis: { ok: false }, postgres: { ok: true } } })

      await fault.setMode('pass')
      await waitFor(
        async () => JSON.stringify((await call(`${gateway.url}/readyz`)).body).includes('"redis":{"ok":true'),
        {
          what: 'Redis to be back',
          timeoutMs: 8000,
        },
      )
      await hint(await addMissionEvents(db, mission, ['task.progress', 'mission.completed']))
      await waitFor(() => subscriber.ended, { what: 'the end' })
      expect(seqs(subscriber)).toEqual([1, 2, 3, 4])
    } finally {
      await fault.stop()
    }
  })

  test('survives Postgres being away for a moment', async ({ startGateway, db, database, mission, hint, follow }) => {
    const fault = await createFaultProxy(database.url)
    try {
      const gateway = await startGateway({ DATABASE_URL: fault.through(database.url) })
      const subscriber = await follow(gateway, `/v1/missions/${mission.id}/events`)
      await hint(await addMissionEvents(db, mission, ['task.queued']))
      await arrived(subscriber, 1)
      await fault.setMode('refuse')
      await hint(await addMissionEvents(db, mission, ['task.claimed']))
      await waitFor(() => gateway.logs.some((line) => line.includes('events could not be read')), {
        what: 'a failed read',
      })
      const refused = await call(`${gateway.url}/v1/missions/${newId()}/events`, {
        token: signTestToken({ tenantId: mission.tenantId, scopes: ['mission:read'] }),
      })
      expect(refused.status).toBe(503)
      expect(refused.headers.get('retry-after')).toBe('1')
      await fault.setMode('pass')
      await arrived(subscriber, 2, 8000)
      expect(seqs(subscriber)).toEqual([1, 2])
      await gateway.close()
    } finally {
      await fault.stop()
    }
  })

  test('fifty follow one mission, each gets all of it once', async ({ startGateway, db, mission, hint, follow }) => {
    const gateway = await startGateway()
    const path = `/v1/missions/${mission.id}/events`
    const followers = await Promise.all(Array.from({ length: 50 }, async () => await follow(gateway, path)))
    for (let i = 0; i < 20; i += 1) await hint(await addMissionEvents(db, mission, ['task.progress', 'task.queued']))
    await hint(await addMissionEvents(db, mission, ['mission.completed']))
    await waitFor(() => followers.every(({ ended }) => ended), { what: 'all to end' })

    for (const follower of followers) expect(seqs(follower)).toEqual(upTo(41))
    await waitFor(() => gateway.app.requestsInFlight() === 0, { what: 'nothing in flight' })
  })

  test('a mission of another tenant is as unknown as one that does not exist', async ({
    startGateway,
    db,
    mission,
  }) => {
    const gateway = await startGateway()
    const other = await createTestTenant(db)
    const token = signTestToken({ tenantId: other.id, scopes: ['mission:read'] })
    const foreign = await call(`${gateway.url}/v1/missions/${mission.id}/events`, { token })
    const unknown = await call(`${gateway.url}/v1/missions/${newId()}/events`, { token })

    expect(foreign.status).toBe(404)
    expect({ ...foreign.body, correlationId: '' }).toEqual({ ...unknown.body, correlationId: '' })
  })

  test('a cursor starts where it says, Last-Event-ID wins over it, and nonsense is refused', async ({
    startGateway,
    db,
    mission,
    token,
    follow,
  }) => {
    const gateway = await startGateway()
    const path = `/v1/missions/${mission.id}/events`
    await addMissionEvents(db, mission, ['task.queued', 'task.claimed', 'task.completed', 'mission.completed'])
    const byCursor = await follow(gateway, `${path}?cursor=2`)
    const byHeader = await follow(gateway, `${path}?cursor=1`, 3)
    const beyond = await follow(gateway, `${path}?cursor=999999`)
    await waitFor(() => byCursor.ended && byHeader.ended && beyond.ended, { what: 'all to end' })

    expect([seqs(byCursor), seqs(byHeader), seqs(beyond)]).toEqual([[3, 4], [4], []])
    for (const query of ['cursor=-1', 'cursor=x', 'cursor=1.5', 'other=1']) {
      expect((await call(`${gateway.url}${path}?${query}`, { token })).status, query).toBe(400)
    }
    const strange = await call(`${gateway.url}${path}`, { token, headers: { 'last-event-id': 'x/1' } })
    expect(strange.status).toBe(400)
    expect((await call(`${gateway.url}/v1/missions/not-an-id/events`, { token })).status).toBe(400)
  })

  test('HEAD opens no stream', async ({ startGateway, db, mission, token }) => {
    const gateway = await startGateway({ SSE_STREAMS_MAX: '1' })
    await addMissionEvents(db, mission, ['task.queued'])
    for (let i = 0; i < 3; i += 1) {
      const head = await call(`${gateway.url}/v1/missions/${mission.id}/events`, { method: 'HEAD', token })
      expect(head.status).toBe(200)
    }
    expect(gateway.app.requestsInFlight()).toBe(0)
  })
})
