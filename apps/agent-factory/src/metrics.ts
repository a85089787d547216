import type { Metrics } from '@hypercode/telemetry'

/** What the factory counts and measures, beside what every service does. */
export function factoryMetrics(metrics: Metrics) {
  return {
    instances: metrics.gauge<'lifecycle'>({
      name: 'hypercode_factory_instances',
      help: 'Instances that this replica looks after, by lifecycle',
      labels: ['lifecycle'],
    }),
    starts: metrics.counter<'driver'>({
      name: 'hypercode_factory_starts_total',
      help: 'Starts that were given to a driver',
      labels: ['driver'],
    }),
    crashes: metrics.counter<'reason'>({
      name: 'hypercode_factory_crashes_total',
      help: 'Instances that failed, by reason',
      labels: ['reason'],
    }),
    adopted: metrics.counter({
      name: 'hypercode_factory_adopted_total',
      help: 'Running instances that this replica took over',
    }),
    orphans: metrics.counter<'driver'>({
      name: 'hypercode_factory_orphans_total',
      help: 'Processes that were ended because no instance claimed them',
      labels: ['driver'],
    }),
    faults: metrics.counter<'driver'>({
      name: 'hypercode_factory_faults_total',
      help: 'Looks at an instance that failed for reasons of ours or of the driver; the next one tries again',
      labels: ['driver'],
    }),
    scalings: metrics.counter({
      name: 'hypercode_factory_scalings_total',
      help: 'Times that the number of instances of a version was changed by the work there was',
    }),
    promotions: metrics.counter<'kind'>({
      name: 'hypercode_factory_promotions_total',
      help: 'Decisions about stable versions: promoted, demoted, refused',
      labels: ['kind'],
    }),
  }
}

export type FactoryMetrics = ReturnType<typeof factoryMetrics>
