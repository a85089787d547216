import type { CompletionRequest } from '@hypercode/contracts'
import type { HyperClient } from '@hypercode/client'
import { createLogger } from '@hypercode/telemetry'
import { describe, expect, test } from 'vitest'
import { Completer } from '../src/completer.ts'
import type { ReportStatus } from '../src/completer.ts'
import { Lease, monotonicMs } from '../src/heartbeat/lease.ts'

interface Call {
  readonly size: number
  answer(): Promise<void>
}

/** A completer whose requests are answered when the test says so. */
function openCompleter() {
  const calls: Call[] = []
  const statuses: ReportStatus[] = []
  const client = {
    call: async (_route: unknown, { body: { results } }: { body: CompletionRequest }) =>
      await new Promise((resolve) => {
        const body = { results: results.map(({ taskId, attempt }) => ({ taskId, attempt, status: 'accepted' })) }
        const answer = async (): Promise<void> => {
          resolve({ body })
          await turn()
        }
        calls.push({ size: results.length, answer })
      }),
  } as unknown as HyperClient
  const lease = new Lease(0)
  lease.renew(monotonicMs(), 60_000)
  const completer = new Completer({
    client,
    incarnation: 1,
    lease,
    dead: new AbortController().signal,
    log: createLogger({ service: 'completer-test', level: 'silent' }),
    onFenced: () => undefined,
  })
  let last = 0
  const report = (count: number): void => {
    for (let n = 0; n < count; n += 1) {
      const one = { taskId: `task-${(last += 1)}`, attempt: 1, outcome: 'completed' as const, output: null }
      completer.submit({ report: one, bytes: 100 }).then(
        (status) => statuses.push(status),
        (error: unknown) => expect.unreachable(String(error)),
      )
    }
  }
  return { completer, calls, statuses, report, sizes: () => calls.map(({ size }) => size) }
}

const turn = async (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('reports', () => {
  test('that end in one turn go with one request', async () => {
    const { report, sizes } = openCompleter()
    report(40)
    await turn()
    expect(sizes()).toEqual([40])
  })

  test('that end while a request is on its way go with the next one, also when it is only one', async () => {
    const { calls, report, sizes, statuses } = openCompleter()
    report(1)
    await turn()
    report(30)
    await turn()
    report(19)
    await turn()
    expect(sizes()).toEqual([1])
    await calls[0]?.answer()
    expect(sizes()).toEqual([1, 49])
    await calls[1]?.answer()
    expect(statuses).toEqual(Array.from({ length: 50 }, () => 'accepted'))
  })

  test('that make a full batch do not wait, but two requests are the most on their way', async () => {
    const { calls, report, sizes, statuses } = openCompleter()
    report(1)
    await turn()
    report(249)
    await turn()
    expect(sizes()).toEqual([1])
    report(351)
    await turn()
    expect(sizes()).toEqual([1, 250])
    await calls[0]?.answer()
    expect(sizes()).toEqual([1, 250, 250])
    await calls[1]?.answer()
    // What is left is no full batch.
    expect(sizes()).toEqual([1, 250, 250])
    await calls[2]?.answer()
    expect(sizes()).toEqual([1, 250, 250, 100])
    await calls[3]?.answer()
    expect(statuses).toHaveLength(601)
  })

  test('tell when they are on their way', async () => {
    const { completer, report } = openCompleter()
    const isSo = async (told: Promise<void>): Promise<boolean> =>
      await Promise.race([told.then(() => true), turn().then(() => false)])
    const { begun: first } = completer
    expect(await isSo(first)).toBe(false)
    report(1)
    expect(await isSo(first)).toBe(true)
    expect(completer.begun).not.toBe(first)
  })
})
