import { describe, expect, test } from 'vitest'
import { createMetrics } from '../src/index.ts'

const bare = (service = 'gateway') => createMetrics(service, { processMetrics: false })

describe('metrics', () => {
  test('are rendered in the text format with the service on every line', async () => {
    const metrics = bare()
    metrics
      .counter({ name: 'hypercode_tasks_total', help: 'Tasks by outcome', labels: ['outcome'] })
      .inc({ outcome: 'completed' }, 2)
    metrics.gauge({ name: 'hypercode_open_missions', help: 'Missions not finished' }).set({}, 7)
    const seconds = metrics.histogram({ name: 'hypercode_claim_seconds', help: 'Time to claim', buckets: [0.01, 0.1] })
    for (const value of [0.005, 0.05, 5]) seconds.observe({}, value)
    const text = await metrics.render()
    expect(metrics.contentType).toContain('text/plain')
    for (const line of [
      '# TYPE hypercode_tasks_total counter',
      'hypercode_tasks_total{outcome="completed",service="gateway"} 2',
      'hypercode_open_missions{service="gateway"} 7',
      'hypercode_claim_seconds_bucket{le="0.01",service="gateway"} 1',
      'hypercode_claim_seconds_bucket{le="+Inf",service="gateway"} 3',
      'hypercode_claim_seconds_count{service="gateway"} 3',
    ]) {
      expect(text.split('\n')).toContain(line)
    }
  })

  test('of two services do not meet', async () => {
    const [one, two] = [bare('one'), bare('two')]
    one.counter({ name: 'hypercode_x_total', help: 'x' }).inc({})
    two.counter({ name: 'hypercode_x_total', help: 'x' }).inc({}, 5)
    expect(await one.render()).toContain('hypercode_x_total{service="one"} 1')
    expect(await two.render()).toContain('hypercode_x_total{service="two"} 5')
  })

  test('are asked for at the time of reading', async () => {
    const metrics = bare()
    let waiting = 0
    metrics.gauge({
      name: 'hypercode_waiting',
      help: 'x',
      labels: ['lane'],
      collect: (gauge) => gauge.set({ lane: 'claim' }, waiting),
    })
    waiting = 3
    expect(await metrics.render()).toContain('hypercode_waiting{lane="claim",service="gateway"} 3')
  })

  test('that are declared twice are one, and differ loudly', async () => {
    const metrics = bare()
    const declare = () => metrics.counter({ name: 'hypercode_x_total', help: 'x', labels: ['a'] })
    declare().inc({ a: '1' })
    declare().inc({ a: '1' })
    expect(await metrics.render()).toContain('hypercode_x_total{a="1",service="gateway"} 2')
    expect(() => metrics.counter({ name: 'hypercode_x_total', help: 'x', labels: ['b'] })).toThrow('declared twice')
  })

  test.each([
    ['counter', 'x_total'],
    ['counter', 'hypercode_x'],
    ['gauge', 'hypercode_x_total'],
    ['counter', 'hypercode_X_total'],
  ] as const)('a %s is not called %s', (kind, name) => {
    expect(() => bare()[kind]({ name, help: 'x' })).toThrow(name)
  })

  test('stay bounded, whatever the label values', async () => {
    const metrics = bare()
    const counter = metrics.counter({ name: 'hypercode_x_total', help: 'x', labels: ['path'] })
    for (let at = 0; at < 5_000; at++) counter.inc({ path: `/p${at}` })
    const lines = (await metrics.render()).split('\n').filter((line) => line.startsWith('hypercode_x_total'))
    expect(lines).toHaveLength(1_001)
    expect(lines).toContain('hypercode_x_total{path="other",service="gateway"} 4000')
  })

  test('of the process are there, the lag of the event loop included', async () => {
    const text = await createMetrics('gateway').render()
    for (const name of [
      'process_resident_memory_bytes',
      'process_cpu_seconds_total',
      'nodejs_eventloop_lag_p99_seconds',
      'nodejs_gc_duration_seconds',
    ]) {
      expect(text).toContain(name)
    }
    expect(text).toMatch(/nodejs_eventloop_lag_max_seconds\{service="gateway"\}/)
  })
})
