import type { Metrics } from '@hypercode/telemetry'

/** What the gym counts and measures, beside what every service does. */
export function gymMetrics(metrics: Metrics) {
  return {
    runs: metrics.counter<'end'>({
      name: 'hypercode_gym_runs_total',
      help: 'Runs by their end: passed, failed_verdict, inconclusive, failed, canceled',
      labels: ['end'],
    }),
    running: metrics.gauge({
      name: 'hypercode_gym_runs_in_hand',
      help: 'Runs that this process carries out',
    }),
    samples: metrics.counter<'state'>({
      name: 'hypercode_gym_samples_total',
      help: 'Samples by what came of them: passed, failed, errored',
      labels: ['state'],
    }),
    sampleFaults: metrics.counter({
      name: 'hypercode_gym_sample_faults_total',
      help: 'Tries of samples that the platform spoilt',
    }),
    sampleSeconds: metrics.histogram({
      name: 'hypercode_gym_sample_seconds',
      help: 'How long samples took, from the submit to the end of the task',
      buckets: [0.1, 0.5, 1, 5, 10, 30, 60, 300, 600, 1800],
    }),
    liveScores: metrics.counter<'passed'>({
      name: 'hypercode_gym_live_scores_total',
      help: 'Production tasks that were scored',
      labels: ['passed'],
    }),
    demotions: metrics.counter({
      name: 'hypercode_gym_demotions_total',
      help: 'Versions that were demoted because of live scores',
    }),
  }
}

export type GymMetrics = ReturnType<typeof gymMetrics>
