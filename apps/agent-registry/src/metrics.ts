import type { Metrics } from '@hypercode/telemetry'

/** What the registry counts and measures, beside what every service does. */
export function registryMetrics(metrics: Metrics) {
  return {
    beats: metrics.counter<'outcome'>({
      name: 'hypercode_registry_beats_total',
      help: 'Beats by what came of them: beaten, fenced, not_bound',
      labels: ['outcome'],
    }),
    beatBatch: metrics.histogram({
      name: 'hypercode_registry_beat_batch_beats',
      help: 'Beats that one statement renewed',
      buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000],
    }),
    registrations: metrics.counter<'outcome'>({
      name: 'hypercode_registry_registrations_total',
      help: 'Registrations by what came of them: registered, bound, quarantined, tenant_unknown',
      labels: ['outcome'],
    }),
    recoveriesFailed: metrics.counter({
      name: 'hypercode_registry_recoveries_failed_total',
      help: 'Times that instances which beat again could not be moved; their next beat tries again',
    }),
    instances: metrics.gauge<'health'>({
      name: 'hypercode_registry_instances',
      help: 'Live agent instances by health, as the last sweep saw them',
      labels: ['health'],
    }),
    moves: metrics.counter<'to'>({
      name: 'hypercode_registry_moves_total',
      help: 'Moves of health by where they led, and reaped instances',
      labels: ['to'],
    }),
    sweepSeconds: metrics.histogram({
      name: 'hypercode_registry_sweep_seconds',
      help: 'How long a sweep took',
      buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5],
    }),
    brake: metrics.gauge<'reason'>({
      name: 'hypercode_registry_brake',
      help: '1 while nobody is declared critical, because the observer may have been away',
      labels: ['reason'],
    }),
    brakeHolds: metrics.counter<'reason'>({
      name: 'hypercode_registry_brake_holds_total',
      help: 'Times that the brake was set, by reason',
      labels: ['reason'],
    }),
  }
}

export type RegistryMetrics = ReturnType<typeof registryMetrics>
