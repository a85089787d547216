import { html } from '../markup.ts'
import type { Content, Markup } from '../markup.ts'

/** Widths of charts: alone in a row, and two side by side. Texts in them then have the size of those around. */
export const WIDE = 1090
export const HALF = 520

/** The frame of a chart. What it shows stands in `title` as well, for who cannot see it. */
export const plot = (width: number, height: number, title: string, content: Content): Markup =>
  html`<div class="chart"><svg class="plot${width === WIDE ? ' wide' : ''}" viewBox="0 0 ${width} ${round(height)}" role="img" aria-label="${title}"><title>${title}</title>${content}</svg></div>`

export interface Tick {
  readonly at: number
  readonly label: string
}

/** Vertical lines with their labels below. */
export const columns = (ticks: readonly Tick[], top: number, bottom: number): Markup =>
  html`${ticks.map(
    ({ at, label }) =>
      html`<line class="grid" x1="${round(at)}" x2="${round(at)}" y1="${top}" y2="${bottom}"/><text class="tick" x="${round(at)}" y="${bottom + 16}" text-anchor="middle">${label}</text>`,
  )}`

/** Horizontal lines with their labels to the left. */
export const rows = (ticks: readonly Tick[], left: number, right: number): Markup =>
  html`${ticks.map(
    ({ at, label }) =>
      html`<line class="grid" x1="${left}" x2="${right}" y1="${round(at)}" y2="${round(at)}"/><text class="tick" x="${left - 8}" y="${round(at + 4)}" text-anchor="end">${label}</text>`,
  )}`

/** Two digits after the point are finer than any screen. */
export const round = (value: number): number => Math.round(value * 100) / 100

/** Room for the names of scenarios, at about seven units a letter. */
export const NAME_CHARS_MAX = 26
export const nameWidth = (names: readonly string[]): number =>
  30 + 7 * Math.min(NAME_CHARS_MAX, Math.max(6, ...names.map((name) => name.length)))
