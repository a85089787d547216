import type { GymComparison, ScenarioSummary } from '@hypercode/contracts'
import { scaleBand, scaleLinear } from 'd3-scale'
import { cut, percent } from '../format.ts'
import { html } from '../markup.ts'
import type { Markup } from '../markup.ts'
import { NAME_CHARS_MAX, WIDE, columns, nameWidth, plot, round } from './plot.ts'

const ROW = 30
const TOP = 6
const BOTTOM = 26
const RIGHT = 110

/** The pass rate of each scenario with its interval, and as a ring what it was before. */
export function passRateChart(scenarios: readonly ScenarioSummary[], comparison: GymComparison | undefined): Markup {
  const names = scenarios.map(({ id }) => id)
  const left = nameWidth(names)
  const bottom = TOP + ROW * scenarios.length
  const x = scaleLinear([0, 1], [left, WIDE - RIGHT])
  const y = scaleBand(names, [TOP, bottom]).padding(0.3)
  const before = new Map(comparison?.scenarios.map((change) => [change.id, change.before]))
  const marks = scenarios.map(({ id, passRate, interval, passed, samples, errored }) => {
    const middle = round((y(id) ?? 0) + y.bandwidth() / 2)
    const was = before.get(id)
    const tone = passRate === 1 ? 'good' : passRate === 0 ? 'bad' : 'mixed'
    const tried = samples - errored
    return html`<g><title>${`${id}: ${passed} of ${tried} passed, 95 % interval ${percent(interval.low)} to ${percent(interval.high)}${was === undefined ? '' : `, before ${percent(was)}`}`}</title>
<text class="name" x="${left - 12}" y="${middle + 4}" text-anchor="end">${cut(id, NAME_CHARS_MAX)}</text>
<rect class="track" x="${left}" y="${middle - 4}" width="${round(x(1) - left)}" height="8" rx="4"/>
${tried === 0 ? undefined : html`<rect class="range ${tone}" x="${round(x(interval.low))}" y="${middle - 4}" width="${round(Math.max(1, x(interval.high) - x(interval.low)))}" height="8" rx="4"/>`}
${was === undefined ? undefined : html`<circle class="was" cx="${round(x(was))}" cy="${middle}" r="7"/>`}
${tried === 0 ? undefined : html`<circle class="dot ${tone}" cx="${round(x(passRate))}" cy="${middle}" r="5.5"/>`}
<text class="value" x="${WIDE - RIGHT + 20}" y="${middle + 4}">${tried === 0 ? 'no result' : percent(passRate)}</text><text class="note" x="${WIDE}" y="${middle + 4}" text-anchor="end">${passed}/${tried}</text></g>`
  })
  const ticks = x.ticks(10).map((share) => ({ at: x(share), label: percent(share) }))
  return plot(WIDE, bottom + BOTTOM, 'Pass rate per scenario with 95 % intervals', [columns(ticks, TOP, bottom), marks])
}
