import type { Metrics } from '@hypercode/telemetry'
import type { Slots } from './slots.ts'

export interface AgentMetrics {
  attemptEnded(outcome: string, ms: number): void
  completionBatch(size: number): void
  leaseEnded(state: 'lost' | 'fenced'): void
}

export function createAgentMetrics(metrics: Metrics, slots: Slots): AgentMetrics {
  const attempts = metrics.counter({
    name: 'hypercode_agent_attempts_total',
    help: 'Attempts that have ended, by what was reported of them; dropped ones were not reported',
    labels: ['outcome'],
  })
  const seconds = metrics.histogram({
    name: 'hypercode_agent_attempt_seconds',
    help: 'Time that handlers took for one attempt',
    buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800],
  })
  const batches = metrics.histogram({
    name: 'hypercode_agent_completion_batch_size',
    help: 'Reports that went to the platform in one request',
    buckets: [1, 2, 5, 10, 20, 50, 100, 500, 1000],
  })
  const leases = metrics.counter({
    name: 'hypercode_agent_leases_ended_total',
    help: 'Registrations of this agent that did not end by its own will',
    labels: ['state'],
  })
  metrics.gauge({
    name: 'hypercode_agent_slots_used',
    help: 'Slots in use',
    collect: (gauge) => gauge.set({}, slots.used),
  })
  metrics.gauge({
    name: 'hypercode_agent_slots',
    help: 'Slots of this process',
    collect: (gauge) => gauge.set({}, slots.total),
  })
  return {
    attemptEnded: (outcome, ms) => {
      attempts.inc({ outcome })
      seconds.observe({}, ms / 1000)
    },
    completionBatch: (size) => batches.observe({}, size),
    leaseEnded: (state) => leases.inc({ state }),
  }
}
