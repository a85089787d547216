import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { currentContext, newTraceparent, parseTraceparent, runWithContext, withContext } from '../src/index.ts'
import { recordedLogger } from './lines.ts'

describe('a log line', () => {
  test('is JSON with time, level in words, service and message', () => {
    const { log, lines, text } = recordedLogger()
    log.warn({ count: 3, task: { state: 'queued' } }, 'stale attempt ignored')
    const [line] = lines()
    expect(line).toEqual({
      ts: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      level: 'warn',
      service: 'gateway',
      count: 3,
      task: { state: 'queued' },
      msg: 'stale attempt ignored',
    })
    expect(text().endsWith('\n')).toBe(true)
  })

  test('is not written below the level', () => {
    const { log, text } = recordedLogger({ level: 'warn' })
    log.info('quiet')
    expect(text()).toBe('')
    log.error('loud')
    expect(text()).toContain('loud')
  })

  test('carries what a child logger was given', () => {
    const { log, lines } = recordedLogger()
    log.child({ loop: 'sweep', password: 'hunter2hunter2' }).info({ swept: 2 }, 'swept')
    expect(lines()[0]).toMatchObject({ service: 'gateway', loop: 'sweep', swept: 2, password: '[redacted]' })
  })

  test('shows an error with its type, code, stack and causes', () => {
    const { log, lines } = recordedLogger()
    const cause = Object.assign(new TypeError('refused'), { code: 'ECONNREFUSED' })
    log.error(new Error('no database', { cause }))
    log.error({ err: new RangeError('too far'), attempt: 2 }, 'task failed')
    log.error({ reason: new AggregateError([new Error('one'), new Error('two')], 'both') }, 'nested')
    const [first, second, third] = lines()
    expect(first).toMatchObject({
      msg: 'no database',
      err: {
        type: 'Error',
        message: 'no database',
        cause: { type: 'TypeError', message: 'refused', code: 'ECONNREFUSED' },
      },
    })
    expect(second).toMatchObject({
      err: { type: 'RangeError', stack: expect.stringContaining('logger.test.ts') },
      attempt: 2,
    })
    expect(third).toMatchObject({ reason: { message: 'both' } })
  })

  test('names a request by method and path, without its query', () => {
    const { log, lines } = recordedLogger()
    log.info(
      { req: { id: 'r1', method: 'GET', url: '/v1/agents?q=hidden', ip: '127.0.0.1', headers: { a: 1 }, socket: {} } },
      'in',
    )
    log.info({ res: { statusCode: 200, raw: {} } }, 'out')
    expect(lines()[0]?.['req']).toEqual({ id: 'r1', method: 'GET', url: '/v1/agents', ip: '127.0.0.1' })
    expect(lines()[1]?.['res']).toEqual({ statusCode: 200 })
  })

  test('survives what JSON does not know and stays within a bound', () => {
    const { log, lines, text } = recordedLogger()
    const circle: Record<string, unknown> = { name: 'circle' }
    circle['self'] = circle
    const wide = Object.fromEntries(Array.from({ length: 5_000 }, (_, at) => [`k${at}`, at]))
    log.info(
      { circle, wide, list: Array.from({ length: 100_000 }, () => 'x'), big: 10n, long: 'y'.repeat(1_000_000) },
      'odd',
    )
    log.info({
      map: new Map([['a', 1]]),
      set: new Set([1]),
      when: new Date(0),
      bytes: Buffer.alloc(99),
      fn: () => 1,
      url: new URL('http://a/b'),
    })
    expect(text().length).toBeLessThan(64_000)
    expect(lines()[0]).toMatchObject({ big: '10', circle: { name: 'circle' } })
    expect(lines()[1]).toMatchObject({
      map: { a: 1 },
      set: [1],
      when: '1970-01-01T00:00:00.000Z',
      bytes: '[99 bytes]',
      url: 'http://a/b',
    })
  })

  // Goal: whatever is logged, a line is one line of JSON, and harmless fields come out as they went in.
  test('is valid JSON for any fields', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })), fc.string(), (fields, message) => {
        const { log, lines } = recordedLogger()
        log.info(fields, message)
        expect(lines()).toHaveLength(1)
      }),
    )
    // Keys and texts of letters that spell no sensitive name and no credential.
    const values = [fc.stringMatching(/^[a-f ]{0,12}$/), fc.integer(), fc.boolean(), fc.constant(null)]
    const harmless = fc.object({ key: fc.stringMatching(/^[a-f]{1,5}$/), values, maxDepth: 3, maxKeys: 8 })
    fc.assert(
      fc.property(harmless, (fields) => {
        const { log, lines } = recordedLogger()
        log.info({ fields })
        expect(lines()[0]?.['fields']).toEqual(fields)
      }),
    )
  })

  test('goes to stdout when no destination is given', async () => {
    const script = fileURLToPath(new URL('log-to-stdout.ts', import.meta.url))
    const { stdout } = await promisify(execFile)(process.execPath, ['--conditions=@hypercode/source', script])
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(lines).toEqual([
      expect.objectContaining({ level: 'info', service: 'probe', msg: 'started', correlationId: 'c-1' }),
      expect.objectContaining({ level: 'fatal', service: 'probe', msg: 'gone' }),
    ])
  })
})

describe('the context', () => {
  test('is on every line, across awaits and timers, and nowhere else', async () => {
    const { log, lines } = recordedLogger()
    const traceparent = newTraceparent()
    const work = async (attempt: number): Promise<void> => {
      await withContext({ missionId: 'm1', taskId: `t${attempt}`, attempt }, async () => {
        await sleep(5)
        log.info('worked')
      })
    }
    await withContext({ correlationId: 'c-1', tenantId: 'acme', traceparent }, () => Promise.all([work(1), work(2)]))
    log.info('outside')
    const byAttempt = lines().sort((a, b) => Number(a['attempt'] ?? 9) - Number(b['attempt'] ?? 9))
    const traceId = parseTraceparent(traceparent)?.traceId
    const shared = { correlationId: 'c-1', tenantId: 'acme', missionId: 'm1', traceId }
    expect(byAttempt[0]).toMatchObject({ ...shared, taskId: 't1', attempt: 1 })
    expect(byAttempt[1]).toMatchObject({ ...shared, taskId: 't2', attempt: 2 })
    expect(byAttempt[2]).toEqual({ ts: expect.any(String), level: 'info', service: 'gateway', msg: 'outside' })
  })

  test('is added to by withContext and replaced by runWithContext', () => {
    withContext({ correlationId: 'a', tenantId: 't' }, () => {
      expect(withContext({ tenantId: 'u' }, currentContext)).toEqual({ correlationId: 'a', tenantId: 'u' })
      expect(runWithContext({ missionId: 'm' }, currentContext)).toEqual({ missionId: 'm' })
      expect(currentContext()).toEqual({ correlationId: 'a', tenantId: 't' })
    })
    expect(currentContext()).toEqual({})
  })

  test('cannot be changed from within', () => {
    withContext({ tenantId: 't' }, () => {
      expect(() => Object.assign(currentContext(), { tenantId: 'other' })).toThrow(TypeError)
    })
  })

  test('gives way to what the call itself says', () => {
    const { log, lines } = recordedLogger()
    withContext({ taskId: 'outer' }, () => log.info({ taskId: 'own' }, 'x'))
    expect(lines()[0]).toMatchObject({ taskId: 'own' })
  })
})
