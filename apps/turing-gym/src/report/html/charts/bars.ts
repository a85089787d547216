import { scaleBand, scaleLinear } from 'd3-scale'
import { cut } from '../format.ts'
import { html } from '../markup.ts'
import type { Markup } from '../markup.ts'
import { NAME_CHARS_MAX, columns, nameWidth, plot, round } from './plot.ts'

export interface Bar {
  readonly name: string
  readonly value: number
}

const ROW = 28
const TOP = 6
const BOTTOM = 26
const RIGHT = 74

/** One bar per scenario, from nothing to the largest. */
export function barChart(
  title: string,
  bars: readonly Bar[],
  format: (value: number) => string,
  width: number,
): Markup {
  const names = bars.map(({ name }) => name)
  const left = nameWidth(names)
  const bottom = TOP + ROW * bars.length
  const x = scaleLinear([0, Math.max(Number.MIN_VALUE, ...bars.map(({ value }) => value))], [left, width - RIGHT])
  const y = scaleBand(names, [TOP, bottom]).padding(0.35)
  const ticks = x.ticks(4).map((value) => ({ at: x(value), label: format(value) }))
  return plot(width, bottom + BOTTOM, title, [
    columns(ticks, TOP, bottom),
    bars.map(({ name, value }) => {
      const top = round(y(name) ?? 0)
      const middle = round(top + y.bandwidth() / 2)
      return html`<g><title>${`${name}: ${format(value)}`}</title><text class="name" x="${left - 12}" y="${middle + 4}" text-anchor="end">${cut(name, NAME_CHARS_MAX)}</text><rect class="bar" x="${left}" y="${top}" width="${round(Math.max(1.5, x(value) - left))}" height="${round(y.bandwidth())}" rx="3"/><text class="value" x="${round(x(value) + 8)}" y="${middle + 4}">${format(value)}</text></g>`
    }),
  ])
}
