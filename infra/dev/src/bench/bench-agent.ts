/**
 * No-op agents of the benchmark in a process of their own: `node bench-agent.ts`, configured by environment as every agent is, and by
 * AGENT_INSTANCES, the number of instances. Tells its parent when they are registered, and ends with it.
 */
import { Type } from '@sinclair/typebox'
import { defineAgent, startAgent } from '@hypercode/base-agent'

const settings = {
  url: process.env['HYPERCODE_URL'] ?? '',
  clientId: process.env['HYPERCODE_CLIENT_ID'] ?? '',
  clientSecret: process.env['HYPERCODE_CLIENT_SECRET'] ?? '',
  instance: process.env['HYPERCODE_INSTANCE'] ?? 'bench',
  slots: Number(process.env['AGENT_SLOTS'] ?? '100'),
}

const agent = defineAgent({
  name: 'bench',
  version: '1.0.0',
  slots: settings.slots,
  skills: [{ id: 'bench.noop' }, { id: 'bench.list' }],
  input: Type.Unknown(),
  output: Type.Unknown(),
  onTask: async (ctx) =>
    ctx.skill === 'bench.list' ? Array.from({ length: 100 }, (_, index) => index) : { ok: true, payload: PAYLOAD },
})

/** About what a small result weighs. */
const PAYLOAD = 'x'.repeat(200)

const names = Array.from(
  { length: Number(process.env['AGENT_INSTANCES'] ?? '1') },
  (_, index) => `${settings.instance}-${index}`,
)
const running = await Promise.all(names.map(async (instance) => startAgent(agent, { ...settings, instance })))
process.send?.('ready')
const stop = async (): Promise<never> => {
  await Promise.all(running.map(async (one) => one.stop({ drainMs: 0 })))
  process.exit(0)
}
process.once('disconnect', () => {
  stop().catch((error: unknown) => {
    throw error
  })
})
