import { defineAgent, serve } from '@hypercode/base-agent'
import { Type } from '@sinclair/typebox'

/** Keeps its thread busy, as a handler that parses or compresses does, or as one that was written badly. */
const blocker = defineAgent({
  name: 'blocker',
  version: '1.0.0',
  skills: [{ id: 'block' }],
  input: Type.Object({ ms: Type.Integer() }),
  output: Type.Object({ blockedMs: Type.Integer() }),
  onTask(_ctx, { ms }) {
    const beganMs = performance.now()
    while (performance.now() - beganMs < ms);
    return { blockedMs: Math.floor(performance.now() - beganMs) }
  },
})

await serve(blocker)
