import type { GymSample } from '@hypercode/contracts'
import { bin, max } from 'd3-array'
import { scaleLinear } from 'd3-scale'
import { quantile } from '../../../statistics/summarize.ts'
import { duration, plural } from '../format.ts'
import { html } from '../markup.ts'
import type { Markup } from '../markup.ts'
import { columns, plot, round, rows } from './plot.ts'

const HEIGHT = 240
const MARGINS = { top: 26, right: 12, bottom: 30, left: 44 }
/** A tick and a bin for so many units, about. */
const TICK = 90
const BIN = 22

/** How many samples took how long; those that passed below, those that failed on top of them. */
export function latencyChart(samples: readonly GymSample[], width: number): Markup {
  const timed = samples.flatMap(({ state, latencyMs }) =>
    latencyMs !== undefined && (state === 'passed' || state === 'failed')
      ? [{ ms: latencyMs, passed: state === 'passed' }]
      : [],
  )
  if (timed.length === 0) return html`<p class="none">No sample has a latency yet.</p>`
  const ascending = timed.map(({ ms }) => ms).toSorted((a, b) => a - b)
  const most = Math.max(1, ascending.at(-1) ?? 0)
  const x = scaleLinear([0, most], [MARGINS.left, width - MARGINS.right]).nice(width / TICK)
  const [from, to] = x.domain() as [number, number]
  const bins = bin<(typeof timed)[number], number>()
    .value(({ ms }) => ms)
    .domain([from, to])
    .thresholds(x.ticks(width / BIN))(timed)
  const y = scaleLinear([0, max(bins, (of) => of.length) ?? 1], [HEIGHT - MARGINS.bottom, MARGINS.top]).nice(4)
  const bars = bins
    .filter((of) => of.length > 0)
    .map((of) => {
      const [left, right] = [x(of.x0 ?? from) + 1, x(of.x1 ?? to) - 1]
      const passed = of.filter((sample) => sample.passed).length
      const failed = of.length - passed
      const bar = (tone: string, low: number, high: number): Markup | undefined =>
        high === low
          ? undefined
          : html`<rect class="${tone}" x="${round(left)}" y="${round(y(high))}" width="${round(Math.max(1, right - left))}" height="${round(y(low) - y(high))}" rx="1.5"/>`
      return html`<g><title>${`${duration(of.x0 ?? from)} to ${duration(of.x1 ?? to)}: ${passed} passed, ${failed} failed`}</title>${bar('good', 0, passed)}${bar('bad', passed, of.length)}</g>`
    })
  const bottom = HEIGHT - MARGINS.bottom
  const counts = y.ticks(4).filter(Number.isInteger)
  return plot(width, HEIGHT, `Latency of ${plural(timed.length, 'sample')}`, [
    rows(
      counts.map((count) => ({ at: y(count), label: String(count) })),
      MARGINS.left,
      width - MARGINS.right,
    ),
    columns(
      x.ticks(width / TICK).map((ms) => ({ at: x(ms), label: duration(ms) })),
      bottom,
      bottom,
    ),
    bars,
    [0.5, 0.95].map((share) => marker(x(quantile(ascending, share)), share, quantile(ascending, share), width)),
  ])
}

/** The two labels share the line above the chart: one stands to the left of its mark, the other to the right. */
function marker(at: number, share: number, ms: number, width: number): Markup {
  const isLeft = share < 0.9 ? at > width / 3 : at > width * 0.8
  const anchor = isLeft ? 'end' : 'start'
  return html`<line class="marker" x1="${round(at)}" x2="${round(at)}" y1="${MARGINS.top - 12}" y2="${HEIGHT - MARGINS.bottom}"/>
<text class="mark" x="${round(isLeft ? at - 5 : at + 5)}" y="${MARGINS.top - 5 - (share < 0.9 ? 0 : 10)}" text-anchor="${anchor}">p${share * 100} ${duration(ms)}</text>`
}
