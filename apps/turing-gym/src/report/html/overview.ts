import type { GymRun } from '@hypercode/contracts'
import { countResults, latenciesOf, quantile } from '../../statistics/summarize.ts'
import { wilsonInterval } from '../../statistics/wilson.ts'
import type { ReportInput } from '../report.ts'
import { cut, duration, instant, percent, plural, short, usd, whole } from './format.ts'
import { html } from './markup.ts'
import type { Markup } from './markup.ts'

export function pageHeader(run: GymRun): Markup {
  const facts: readonly (readonly [string, string])[] = [
    ['Blueprint', `${run.blueprint}@${run.blueprintVersion}`],
    ['Content', cut(run.blueprintHash, 16)],
    ['Started', instant(run.startedAt ?? run.createdAt)],
    ...(run.endedAt === undefined
      ? []
      : [['Took', duration(Date.parse(run.endedAt) - Date.parse(run.startedAt ?? run.createdAt))] as const]),
    ['By', run.createdBy],
  ]
  return html`<header>
<p class="over">Gym report · suite version ${run.suiteVersion}</p>
<div class="title"><h1>${run.suite}</h1><span class="verdict ${run.verdict ?? 'none'}">${run.verdict ?? run.state}</span></div>
<dl>${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
</header>`
}

/** What the verdict rests on, or why there is none. */
export function reasonsCard({ rule, reasons, verdict, error, state }: GymRun): Markup {
  const declared =
    rule.kind === 'thresholds'
      ? `thresholds, at least ${percent(rule.passRate)} of all samples${rule.confidence === undefined ? '' : ` at ${percent(rule.confidence)} confidence`}`
      : `sequential, between true pass rates of ${rule.good} and ${rule.bad}, with alpha ${rule.alpha} and beta ${rule.beta}`
  const lines = error === undefined ? reasons : [error, ...reasons]
  return html`<section class="card reasons ${verdict ?? 'none'}"><h2>${verdict === undefined ? `No verdict: the run is ${state}` : 'What the verdict rests on'}</h2>
<ul><li>Rule: ${declared}.</li>${lines.map((line) => html`<li>${line}</li>`)}</ul></section>`
}

export function tiles({ run, samples }: ReportInput): Markup {
  const { passed, failed, errored } = countResults(samples)
  const tried = passed + failed
  const interval = wilsonInterval(passed, tried)
  const latencies = latenciesOf(samples)
  const [tokens, dollars] = [sumOf(samples, 'tokens'), sumOf(samples, 'usd')]
  const all: readonly (readonly [string, string, string])[] = [
    [
      'Pass rate',
      tried === 0 ? '–' : percent(passed / tried),
      tried === 0 ? 'no result yet' : `${percent(interval.low)} to ${percent(interval.high)}`,
    ],
    [
      'Samples',
      whole(tried + errored),
      `${whole(passed)} passed, ${whole(failed)} failed${errored > 0 ? `, ${whole(errored)} errored` : ''}`,
    ],
    [
      'Median latency',
      latencies.length === 0 ? '–' : duration(quantile(latencies, 0.5)),
      latencies.length === 0 ? 'none measured' : `p95 ${duration(quantile(latencies, 0.95))}`,
    ],
    [
      'Tokens',
      short(tokens),
      tried === 0 ? `of ${plural(run.samples.planned, 'planned sample')}` : `${short(tokens / tried)} per sample`,
    ],
    ['Cost', usd(dollars), tried === 0 ? '' : `${usd(dollars / tried)} per sample`],
  ]
  return html`<section class="tiles" aria-label="Key figures">${all.map(
    ([name, figure, note]) => html`<div class="tile"><p>${name}</p><p class="figure">${figure}</p><p>${note}</p></div>`,
  )}</section>`
}

const sumOf = (samples: ReportInput['samples'], what: 'tokens' | 'usd'): number =>
  samples.reduce((sum, sample) => sum + (sample[what] ?? 0), 0)
