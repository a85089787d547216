import type { ScenarioSummary } from '@hypercode/contracts'
import { mean } from 'd3-array'
import { scaleLinear } from 'd3-scale'
import { line } from 'd3-shape'
import { percent } from '../format.ts'
import { html } from '../markup.ts'
import type { Markup } from '../markup.ts'
import { WIDTH, columns, plot, round, rows } from './plot.ts'

const HEIGHT = 240
const MARGINS = { top: 14, right: 76, bottom: 30, left: 52 }

/** pass@k and pass^k, the mean of the scenarios that have as many samples. Nothing to see with one repetition. */
export function passCurveChart(scenarios: readonly ScenarioSummary[]): Markup | undefined {
  const kMax = Math.max(0, ...scenarios.map(({ passAtK }) => passAtK.length))
  if (kMax < 2) return undefined
  const x = scaleLinear([1, kMax], [MARGINS.left, WIDTH - MARGINS.right])
  const y = scaleLinear([0, 1], [HEIGHT - MARGINS.bottom, MARGINS.top])
  const ks = Array.from({ length: kMax }, (_, index) => index + 1)
  const curve = (name: string, tone: string, of: (scenario: ScenarioSummary) => readonly number[]): Markup => {
    // A scenario with fewer samples says nothing about a larger k, and would bend the curve where it leaves.
    const full = scenarios.filter((scenario) => of(scenario).length === kMax)
    const points = ks.map((k): [number, number] => [x(k), y(mean(full, (scenario) => of(scenario)[k - 1]) ?? 0)])
    const end = points.at(-1) ?? [0, 0]
    return html`<path class="curve ${tone}" d="${line().digits(2)(points) ?? ''}"/>${points.map(([cx, cy]) => html`<circle class="dot ${tone}" cx="${round(cx)}" cy="${round(cy)}" r="3.5"/>`)}<text class="curve-name" x="${round(end[0] + 10)}" y="${round(end[1] + 4)}">${name}</text>`
  }
  return plot(HEIGHT, 'Chance that at least one, and that all, of k tries pass', [
    rows(
      y.ticks(5).map((share) => ({ at: y(share), label: percent(share) })),
      MARGINS.left,
      WIDTH - MARGINS.right,
    ),
    columns(
      ks.map((k) => ({ at: x(k), label: `k = ${k}` })),
      HEIGHT - MARGINS.bottom,
      HEIGHT - MARGINS.bottom,
    ),
    curve('pass@k', 'good', ({ passAtK }) => passAtK),
    curve('pass^k', 'mixed', ({ passHatK }) => passHatK),
  ])
}
