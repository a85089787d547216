import { setTimeout as sleep } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import { defineAgent, startAgent } from '@hypercode/base-agent'
import { cardFaults } from '@hypercode/base-agent/card'
import { createFakeControlPlane } from '@hypercode/base-agent/testing'

const Text = Type.Object({ text: Type.String() })
const agent = defineAgent({
  name: 'shouter',
  version: '1.0.0',
  skills: [{ id: 'shout' }],
  input: Text,
  output: Text,
  async onTask(_ctx, { text }) {
    await sleep(600)
    return { text: text.toUpperCase() }
  },
})
const platform = await createFakeControlPlane({ leaseMs: 1_500, heartbeatMs: 200 })
const running = await startAgent(agent, platform.settings)
const { output } = await platform.ended(platform.queue({ skill: 'shout', input: { text: 'hello' } }))
const beats = platform.instances()[0].beats.length
await running.stop()
await platform.close()
process.stdout.write(JSON.stringify({ output, beats, faults: cardFaults(agent.card) }))
