import { getEventListeners } from 'node:events'
import { ROUTES } from '@hypercode/contracts'
import type { CloudEvent } from '@hypercode/contracts'
import { describe, expect, test } from 'vitest'
import { cut, problem, scripted, tokens } from './scripted-server.ts'
import type { Act } from './scripted-server.ts'

const ID = '01a2028a-1f54-73d7-833d-909f9c7f4a5e'

const event = (seq: number, type = 'task.progress'): string =>
  `id: ${seq}\nevent: ${type}\ndata: ${JSON.stringify({ specversion: '1.0', id: `${ID}/${seq}`, type: `hypercode.${type}.v1`, seq, data: {} })}\n\n`

/** Sends these texts as a stream, and then ends it, cuts it or leaves it open. */
const streamed =
  (texts: readonly string[], end: 'end' | 'cut' | 'open'): Act =>
  (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.flushHeaders()
    for (const text of texts) response.write(text)
    if (end === 'end') response.end()
    else if (end === 'cut') response.write('', () => response.destroy())
  }

async function take(events: AsyncIterable<CloudEvent>, most = Infinity): Promise<number[]> {
  const seqs: number[] = []
  for await (const each of events) {
    seqs.push(each.seq)
    if (seqs.length === most) break
  }
  return seqs
}

const watch = { params: { id: ID } }

describe('a stream', () => {
  test('gives the events of a mission and ends with it', async () => {
    const { client, seen } = await scripted([
      streamed([event(1), ': beat\n\n', event(2), event(3, 'mission.completed')], 'open'),
    ])
    expect(await take(client.stream(ROUTES.watchMission, watch))).toEqual([1, 2, 3])
    expect(seen[0]).toMatchObject({
      url: `/v1/missions/${ID}/events`,
      headers: { accept: 'text/event-stream', authorization: 'Bearer test-token' },
    })
  })

  test('goes on after the last event when the connection is cut, without a gap and without a repeat', async () => {
    const { client, seen } = await scripted([
      streamed([event(1), event(2), 'id: 3\ndata: {"half'], 'cut'),
      cut,
      problem(503, 'unavailable'),
      streamed([event(3)], 'end'),
      streamed([event(4), event(5, 'mission.failed')], 'open'),
    ])
    expect(await take(client.stream(ROUTES.watchMission, watch))).toEqual([1, 2, 3, 4, 5])
    expect(seen.map(({ headers }) => headers['last-event-id'])).toEqual([undefined, '2', '2', '2', '3'])
  })

  test('begins where the caller says', async () => {
    const { client, seen } = await scripted([streamed([event(8, 'mission.canceled')], 'open')])
    expect(await take(client.stream(ROUTES.watchMission, { ...watch, lastEventId: '7' }))).toEqual([8])
    expect(seen[0]?.headers['last-event-id']).toBe('7')
  })

  test('uses the cursor for the first connection only', async () => {
    const { client, seen } = await scripted([streamed([event(6)], 'end'), streamed([event(7)], 'open')])
    expect(await take(client.stream(ROUTES.watchAgents, { query: { cursor: 5 } }), 2)).toEqual([6, 7])
    expect(seen.map(({ url, headers }) => [url, headers['last-event-id']])).toEqual([
      ['/v1/agents/watch?cursor=5', undefined],
      ['/v1/agents/watch', '6'],
    ])
  })

  test('puts events together that arrive in pieces, inside of a character too', async () => {
    const bytes = Buffer.from(event(1).replace('"data":{}', '"data":{"text":"äöü😀"}') + event(2, 'mission.completed'))
    const { client } = await scripted([
      async (response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        for (const byte of bytes) {
          response.write(Buffer.of(byte))
          await new Promise((resolve) => setImmediate(resolve))
        }
      },
    ])
    const texts: unknown[] = []
    for await (const { data } of client.stream(ROUTES.watchMission, watch)) texts.push(data['text'])
    expect(texts).toEqual(['äöü😀', undefined])
  })

  test('ends when the server says that there is no more', async () => {
    const { client, seen } = await scripted([
      streamed([event(1)], 'end'),
      (response) => void response.writeHead(204).end(),
    ])
    expect(await take(client.stream(ROUTES.watchMission, watch))).toEqual([1])
    expect(seen).toHaveLength(2)
  })

  test('reconnects when nothing comes for too long, not even a comment', async () => {
    const { client, seen } = await scripted(
      [streamed([event(1)], 'open'), streamed([event(2, 'mission.completed')], 'open')],
      {
        stream: { idleMs: 60 },
      },
    )
    expect(await take(client.stream(ROUTES.watchMission, watch))).toEqual([1, 2])
    expect(seen[1]?.headers['last-event-id']).toBe('1')
  })

  test('that brings comments alone stays open', async () => {
    const { client, seen } = await scripted(
      [
        (response) => {
          response.writeHead(200, { 'content-type': 'text/event-stream' })
          let beats = 0
          const beat = setInterval(
            () => response.write(++beats < 10 ? ': beat\n\n' : event(1, 'mission.completed')),
            30,
          )
          response.on('close', () => clearInterval(beat))
        },
      ],
      { stream: { idleMs: 200 } },
    )
    expect(await take(client.stream(ROUTES.watchMission, watch))).toEqual([1])
    expect(seen).toHaveLength(1)
  })

  test.each([400, 401, 403, 404, 409])('that is refused with %i throws', async (status) => {
    const { client, seen } = await scripted([problem(status, 'x')])
    await expect(take(client.stream(ROUTES.watchMission, watch))).rejects.toMatchObject({
      name: 'ApiError',
      status,
      code: 'x',
    })
    expect(seen).toHaveLength(1)
  })

  test('gives up when no connection brings an event any more', async () => {
    const { client, seen } = await scripted([streamed([event(1)], 'cut'), cut], { stream: { maxReconnects: 2 } })
    const seqs: number[] = []
    const reading = (async () => {
      for await (const { seq } of client.stream(ROUTES.watchMission, watch)) seqs.push(seq)
    })()
    await expect(reading).rejects.toMatchObject({ name: 'ConnectionError' })
    expect(seqs).toEqual([1])
    expect(seen).toHaveLength(3)
  })

  test('refuses an event without an end', async () => {
    const { client } = await scripted([streamed(['data: ', 'x'.repeat(5 * 1024 * 1024)], 'open')], {
      stream: { maxReconnects: 0 },
    })
    await expect(take(client.stream(ROUTES.watchMission, watch))).rejects.toThrow('too large')
  })

  test('gets a new token when the old one has expired in between', async () => {
    const issue = tokens()
    let streams = 0
    const { client } = await scripted(
      [
        (response, request, body) => {
          if (request.url === '/v1/auth/token') return issue(response, request, body)
          const { authorization } = request.headers
          if (++streams === 1) return streamed([event(1)], 'cut')(response, request, body)
          if (authorization === 'Bearer token-1') return problem(401, 'token_invalid')(response, request, body)
          return streamed([event(2, 'mission.completed')], 'open')(response, request, body)
        },
      ],
      { token: undefined, credentials: { clientId: 'c', clientSecret: 's' } },
    )
    expect(await take(client.stream(ROUTES.watchMission, watch))).toEqual([1, 2])
  })

  test('closes its connection when the reader stops', async () => {
    let closed = false
    const { client } = await scripted([
      (response, request, body) => {
        response.on('close', () => {
          closed = true
        })
        return streamed([event(1), event(2)], 'open')(response, request, body)
      },
    ])
    expect(await take(client.stream(ROUTES.watchMission, watch), 1)).toEqual([1])
    await expect.poll(() => closed).toBe(true)
  })

  test('ends with the reason of the signal, connected or waiting', async () => {
    const { client } = await scripted([streamed([event(1)], 'open')])
    const giveUp = new AbortController()
    const reading = (async () => {
      for await (const each of client.stream(ROUTES.watchMission, { ...watch, signal: giveUp.signal })) {
        expect(each.seq).toBe(1)
        setTimeout(() => giveUp.abort(new Error('seen enough')), 10)
      }
    })()
    await expect(reading).rejects.toThrow('seen enough')

    const { client: other, seen } = await scripted([problem(503, 'unavailable', { 'retry-after': '20' })])
    const waiting = take(other.stream(ROUTES.watchMission, { ...watch, signal: AbortSignal.timeout(100) }))
    await expect(waiting).rejects.toThrow('timeout')
    expect(seen).toHaveLength(1)
  })

  test('leaves nothing behind on the signal of its caller', async () => {
    const { client } = await scripted([streamed([event(1)], 'cut'), streamed([event(2), event(3)], 'open')])
    const { signal } = new AbortController()
    expect(await take(client.stream(ROUTES.watchMission, { ...watch, signal }), 2)).toEqual([1, 2])
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  test('ends when the client closes', async () => {
    const { client, seen } = await scripted([streamed([event(1)], 'open')])
    const reading = Promise.allSettled([take(client.stream(ROUTES.watchMission, watch))])
    await expect.poll(() => seen.length).toBe(1)
    await client.close()
    expect(await reading).toEqual([{ status: 'rejected', reason: new Error('the client was closed') }])
  })

  test('takes no connection away from the calls', async () => {
    const { client } = await scripted(
      [
        (response, request, body) =>
          request.url?.endsWith('/events') === true
            ? streamed([event(1)], 'open')(response, request, body)
            : void response.writeHead(200, { 'content-type': 'application/json' }).end('{"items":[]}'),
      ],
      { maxConnections: 1 },
    )
    const readers = Array.from({ length: 5 }, () => client.stream(ROUTES.watchMission, watch)[Symbol.asyncIterator]())
    await Promise.all(readers.map((reader) => reader.next()))
    expect((await client.call(ROUTES.listAgents)).status).toBe(200)
    for (const reader of readers) await reader.return?.()
  })
})
