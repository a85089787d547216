import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from '@prometheus-io/client'
import { SeriesGuard } from './series-guard.ts'

/** What every metric says about itself; `labels` are all the labels it will ever have. */
export type MetricOptions<L extends string> = { name: string; help: string; labels?: readonly L[] }

/** One value for each label of a metric. */
export type LabelValues<L extends string> = Readonly<Record<L, string | number>>

export type CounterMetric<L extends string> = { inc: (labels: LabelValues<L>, by?: number) => void }
export type HistogramMetric<L extends string> = { observe: (labels: LabelValues<L>, value: number) => void }
export type GaugeMetric<L extends string> = { set: (labels: LabelValues<L>, value: number) => void }

export type Metrics = {
  /** Counts events; the name ends in `_total`. */
  counter: <L extends string = never>(options: MetricOptions<L>) => CounterMetric<L>
  /** Counts values by size; the name ends in its unit, and `buckets` are upper bounds in that unit. */
  histogram: <L extends string = never>(
    options: MetricOptions<L> & { buckets: readonly number[] },
  ) => HistogramMetric<L>
  /** Holds the last value; `collect` is asked for it at every reading. */
  gauge: <L extends string = never>(
    options: MetricOptions<L> & { collect?: (gauge: GaugeMetric<L>) => void | Promise<void> },
  ) => GaugeMetric<L>
  /** All metrics in Prometheus' text format, of the type `contentType`. */
  render: () => Promise<string>
  contentType: string
}

/**
 * The metrics of one service in a registry of their own, every one with the label `service`. The process's own are
 * there from the start: CPU, memory, event-loop lag, garbage collection. A metric that is declared twice is one metric.
 */
export function createMetrics(service: string, options: { processMetrics?: boolean } = {}): Metrics {
  const registry = new Registry(Registry.PROMETHEUS_CONTENT_TYPE)
  registry.setDefaultLabels({ service })
  if (options.processMetrics ?? true) collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const declared = new Map<string, { shape: string; metric: unknown }>()

  /** `make` runs once for a name; a second declaration has to be the same. */
  const declare = <M>(kind: string, { name, labels }: MetricOptions<string>, make: (guard: SeriesGuard) => M): M => {
    const shape = JSON.stringify([kind, labels ?? []])
    const known = declared.get(name)
    if (known !== undefined) {
      if (known.shape !== shape) throw new Error(`metric ${name} is declared twice, in different ways`)
      return known.metric as M
    }
    checkName(kind, name)
    const metric = make(new SeriesGuard())
    declared.set(name, { shape, metric })
    return metric
  }

  return {
    counter: (metric) =>
      declare('counter', metric, (guard) => {
        const counter = new Counter<string>({
          name: metric.name,
          help: metric.help,
          labelNames: [...(metric.labels ?? [])],
          registers,
        })
        return { inc: (labels, by = 1) => counter.inc(guard.admit(labels), by) }
      }),
    histogram: (metric) =>
      declare('histogram', metric, (guard) => {
        const { name, help, labels = [], buckets } = metric
        const histogram = new Histogram<string>({
          name,
          help,
          labelNames: [...labels],
          buckets: [...buckets],
          registers,
        })
        return { observe: (values, value) => histogram.observe(guard.admit(values), value) }
      }),
    gauge: (metric) =>
      declare('gauge', metric, (guard) => {
        const { name, help, labels = [], collect } = metric
        const facade = {
          set: (values: Readonly<Record<string, string | number>>, value: number) =>
            gauge.set(guard.admit(values), value),
        }
        const gauge = new Gauge<string>({
          name,
          help,
          labelNames: [...labels],
          registers,
          ...(collect !== undefined && { collect: () => collect(facade) }),
        })
        return facade
      }),
    render: () => registry.metrics(),
    contentType: registry.contentType,
  }
}

function checkName(kind: string, name: string): void {
  if (!/^hypercode_[a-z][a-z0-9_]*$/.test(name)) throw new Error(`metric ${name} does not begin with hypercode_`)
  if (kind === 'counter' && !name.endsWith('_total')) throw new Error(`counter ${name} does not end in _total`)
  if (kind !== 'counter' && name.endsWith('_total')) throw new Error(`only a counter ends in _total, ${name} is none`)
}
