import { fileURLToPath } from 'node:url'
import type { BlueprintManifest } from '@hypercode/contracts'

/** An agent that never registers, so nothing but the engine moves it. */
export const MUTE = fileURLToPath(new URL('./agents/mute.ts', import.meta.url))

/** A blueprint of the mute agent; the spec is merged over a small one. */
export const manifestOf = (name: string, spec: Record<string, unknown> = {}): BlueprintManifest => ({
  apiVersion: 'hypercode/v1',
  kind: 'Blueprint',
  metadata: { name },
  spec: {
    entry: { path: MUTE },
    skills: ['test.work'],
    slots: 2,
    resources: { cpu: 1, memory: '512Mi' },
    ...spec,
  },
})
