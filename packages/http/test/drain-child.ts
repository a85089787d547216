/** A service in a process of its own, for the tests of its end. It prints its address and then what happens to it. */
import { createLoops, listenUntilSignal } from '@hypercode/http'
import { createLogger, createMetrics } from '@hypercode/telemetry'
import { buildService } from './service.ts'

const say = (what: string): boolean => process.stdout.write(`${what}\n`)
const { DRAIN_MS, SCENE } = process.env
const log = createLogger({ service: 'child', level: 'silent' })
const loops = createLoops({ log, metrics: createMetrics('child', { processMetrics: false }) })
loops.start('sweep', { everyMs: 10, run: async () => {} })

const { app } = await buildService((app) => {
  const config = { public: true } as const
  app.get('/quick', { config }, () => ({ done: true }))
  app.get('/slow', { config }, async () => {
    say('slow begun')
    await new Promise((resolve) => setTimeout(resolve, 700))
    return { done: true }
  })
  app.get('/never', { config }, () => {
    say('never begun')
    return new Promise(() => {})
  })
  app.get('/poll', { config: { ...config, longLived: true } }, async () => {
    say('poll begun')
    await new Promise<void>((resolve) => app.drainSignal.addEventListener('abort', () => resolve()))
    return { work: [] }
  })
  app.get('/events', { config: { ...config, longLived: true } }, (_request, reply) => {
    reply.hijack()
    reply.raw.writeHead(200, { 'content-type': 'text/event-stream' })
    reply.raw.write('data: 1\n\n')
    say('events begun')
    app.drainSignal.addEventListener('abort', () => reply.raw.end('data: last\n\n'))
  })
  app.get('/crash', { config }, () => {
    setTimeout(() => {
      throw new Error('nobody catches this')
    })
    return {}
  })
})

const address = await listenUntilSignal(app, {
  host: '127.0.0.1',
  port: 0,
  drainMs: Number(DRAIN_MS ?? 5000),
  log,
  onDrain: async () => {
    say('draining')
    await loops.stop()
    if (SCENE === 'drain fails') throw new Error('drain failed')
  },
  onClosed: async () => {
    say('closed')
  },
})
say(address)
