import { setTimeout as sleep } from 'node:timers/promises'
import { waitFor } from '@hypercode/testkit/tools'
import { describe, expect, test } from 'vitest'
import type { EventRow } from '../src/store/events.ts'
import { createEventHub } from '../src/streams/event-hub.ts'
import { createEventReader } from '../src/streams/event-reader.ts'
import type { EventStreamOptions } from '../src/streams/event-stream.ts'

/** A log of events in memory, and how often it was asked. */
function eventLog(bodyBytes = 10) {
  const rows: EventRow[] = []
  const asked: number[] = []
  const reader = createEventReader({
    name: 'test',
    maxWaiting: 1000,
    load: async (wants, limit) => {
      asked.push(wants.length)
      await sleep(1)
      return wants.map(({ after }) => rows.filter(({ seq }) => seq > after).slice(0, limit))
    },
  })
  const add = (count: number, type = 'task.progress'): void => {
    for (let i = 0; i < count; i += 1) {
      const seq = rows.length + 1
      rows.push({
        seq,
        type,
        aboutId: null,
        instanceId: null,
        ref: null,
        body: { fill: 'x'.repeat(bodyBytes) },
        at: new Date(),
      })
    }
  }
  const options = (changes: Partial<EventStreamOptions> = {}): EventStreamOptions => ({
    reader,
    want: {
      key: 'k',
      tenantId: 't',
      after: 0,
      render: ({ seq, type, body }) => ({
        seq,
        text: `id: ${seq}\ndata: ${JSON.stringify(body)}\n\n`,
        terminal: type === 'mission.completed',
      }),
    },
    preamble: '',
    over: false,
    isAllowed: () => true,
    onReadError: () => undefined,
    ...changes,
  })
  return { rows, asked, reader, add, options }
}

const idsOf = (text: string): number[] => [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id))

describe('an event stream', () => {
  // Goal: one statement for a batch of hints, not one for each subscriber.
  test('five hundred readers at one place cost one statement', async () => {
    const log = eventLog()
    const hub = createEventHub({ maxStreams: 1000 })
    const texts = Array.from({ length: 500 }, () => '')
    texts.forEach((_, index) => {
      hub.open('topic', log.options()).on('data', (chunk: Buffer) => (texts[index] += chunk.toString()))
    })
    await waitFor(() => log.asked.length > 0, { what: 'the first look' })
    await sleep(20)
    log.asked.length = 0
    log.add(3)
    hub.wake('topic')
    await waitFor(() => texts.every((text) => idsOf(text).length === 3), { what: 'all to have all' })

    expect(log.asked.reduce((sum, wants) => sum + wants, 0)).toBeLessThanOrEqual(2)
    hub.close()
  })

  // Goal: a reader that takes nothing costs a bounded amount of memory and no reads (E3).
  test('reads nothing more for one that does not take what it has', async () => {
    const log = eventLog(1000)
    log.add(5000)
    const hub = createEventHub({ maxStreams: 2 })
    const slow = hub.open('topic', log.options())
    slow.read(0) // asks for data once, as a socket does, and takes none of it
    await waitFor(() => slow.readableLength > 65_536, { what: 'its buffer to fill' })
    const readsSoFar = log.asked.length
    for (let i = 0; i < 50; i += 1) {
      hub.wakeAll()
      hub.beat()
      await sleep(1)
    }
    expect(log.asked.length).toBe(readsSoFar)
    expect(slow.readableLength).toBeLessThan(65_536 + 2 * 100 * 1100)

    let text = ''
    slow.on('data', (chunk: Buffer) => (text += chunk.toString()))
    await waitFor(() => idsOf(text).length === 5000, { what: 'the rest' })
    expect(idsOf(text)).toEqual(Array.from({ length: 5000 }, (_, i) => i + 1))
    hub.close()
  })

  test('a hint that comes during a read is not lost', async () => {
    const log = eventLog()
    const hub = createEventHub({ maxStreams: 1 })
    let text = ''
    hub.open('topic', log.options()).on('data', (chunk: Buffer) => (text += chunk.toString()))
    for (let i = 0; i < 200; i += 1) {
      log.add(1)
      hub.wake('topic')
      if (i % 10 === 0) await sleep(1)
    }
    await waitFor(() => idsOf(text).length === 200, { what: 'all events' })
    expect(idsOf(text)).toEqual(Array.from({ length: 200 }, (_, i) => i + 1))
    hub.close()
  })

  // Goal: nobody gets the answer to a question that was asked before its own.
  // Method: the first reader's statement has looked and not come back yet when an event is added and a second reader opens at the same place.
  test('a reader does not share a read that looked before it came', async () => {
    const log = eventLog()
    const back = Promise.withResolvers<void>()
    let statements = 0
    const reader = createEventReader({
      name: 'slow',
      maxWaiting: 10,
      load: async (wants, limit) => {
        const found = wants.map(({ after }) => log.rows.filter(({ seq }) => seq > after).slice(0, limit))
        statements += 1
        if (statements === 1) await back.promise
        return found
      },
    })
    const hub = createEventHub({ maxStreams: 2 })
    const texts = ['', '']
    hub.open('topic', log.options({ reader })).on('data', (chunk: Buffer) => (texts[0] += chunk.toString()))
    await waitFor(() => statements === 1, { what: 'the first look' })
    log.add(1)
    hub.open('topic', log.options({ reader })).on('data', (chunk: Buffer) => (texts[1] += chunk.toString()))
    await waitFor(() => idsOf(texts[1] ?? '').length === 1, { what: 'the event at the second reader' })
    back.resolve()
    hub.wake('topic')
    await waitFor(() => idsOf(texts[0] ?? '').length === 1, { what: 'the event at the first reader' })
    expect(texts.map(idsOf)).toEqual([[1], [1]])
    hub.close()
  })

  test('a failed read is tried again with the next wake', async () => {
    const log = eventLog()
    log.add(2)
    let failures = 2
    const flaky = createEventReader({
      name: 'flaky',
      maxWaiting: 10,
      load: async (wants, limit) => {
        if (failures > 0) {
          failures -= 1
          throw new Error('Connection terminated unexpectedly')
        }
        return wants.map(({ after }) => log.rows.filter(({ seq }) => seq > after).slice(0, limit))
      },
    })
    const hub = createEventHub({ maxStreams: 1 })
    const errors: unknown[] = []
    let text = ''
    const stream = hub.open('topic', log.options({ reader: flaky, onReadError: (error) => errors.push(error) }))
    stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
    await waitFor(
      () => {
        hub.wakeAll()
        return idsOf(text).length === 2
      },
      { what: 'the events' },
    )
    expect(errors).toHaveLength(2)
    expect(idsOf(text)).toEqual([1, 2])
    hub.close()
  })

  test('a comment keeps it open, and its place is free when it is closed', async () => {
    const log = eventLog()
    const hub = createEventHub({ maxStreams: 1 })
    let text = ''
    const stream = hub.open('topic', log.options())
    stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
    await waitFor(() => log.asked.length === 1, { what: 'the first look' })
    hub.beat()
    await waitFor(() => text === ': beat\n\n', { what: 'the comment' })
    expect(() => hub.open('other', log.options())).toThrow('1 event streams are open')
    stream.destroy()
    await waitFor(() => hub.size === 0, { what: 'a free place' })
    hub.close()
    expect(() => hub.open('other', log.options())).toThrow('shutting down')
  })
})
