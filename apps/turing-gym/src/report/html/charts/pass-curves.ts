import type { ScenarioSummary } from '@hypercode/contracts'
import { mean } from 'd3-array'
import { scaleLinear } from 'd3-scale'
import { line } from 'd3-shape'
import { percent } from '../format.ts'
import { html } from '../markup.ts'
import type { Markup } from '../markup.ts'
import { HALF, columns, plot, round, rows } from './plot.ts'

const HEIGHT = 240
const MARGINS = { top: 14, right: 76, bottom: 30, left: 52 }

/** pass@k and pass^k, the mean of the scenarios that have as many samples. Nothing to see with one repetition. */
export function passCurveChart(scenarios: readonly ScenarioSummary[]): Markup | undefined {
  const kMax = Math.max(0, ...scenarios.map(({ passAtK }) => passAtK.length))
  if (kMax < 2) return undefined
  const x = scaleLinear([1, kMax], [MARGINS.left, HALF - MARGINS.right])
  const y = scaleLinear([0, 1], [HEIGHT - MARGINS.bottom, MARGINS.top])
  const ks = Array.from({ length: kMax }, (_, index) => index + 1)
  // A scenario with fewer samples says nothing about a larger k, and would bend the curve where it leaves.
  const full = scenarios.filter(({ passAtK }) => passAtK.length === kMax)
  const pointsOf = (of: (scenario: ScenarioSummary) => readonly number[]): [number, number][] =>
    ks.map((k) => [x(k), y(mean(full, (scenario) => of(scenario)[k - 1]) ?? 0)])
  const [any, all] = [pointsOf(({ passAtK }) => passAtK), pointsOf(({ passHatK }) => passHatK)]
  const [anyEnd, allEnd] = [any.at(-1)?.[1] ?? 0, all.at(-1)?.[1] ?? 0]
  return plot(HALF, HEIGHT, 'Chance that at least one, and that all, of k tries pass', [
    rows(
      y.ticks(5).map((share) => ({ at: y(share), label: percent(share) })),
      MARGINS.left,
      HALF - MARGINS.right,
    ),
    columns(
      ks.map((k) => ({ at: x(k), label: k === 1 ? 'k = 1' : String(k) })),
      HEIGHT - MARGINS.bottom,
      HEIGHT - MARGINS.bottom,
    ),
    curve('pass@k', 'good', any, anyEnd),
    // Never the higher of the two; where they end together its name goes below the other.
    curve('pass^k', 'mixed', all, Math.max(allEnd, anyEnd + 15)),
  ])
}

const curve = (name: string, tone: string, points: [number, number][], nameAt: number): Markup =>
  html`<path class="curve ${tone}" d="${line().digits(2)(points) ?? ''}"/>${points.map(([cx, cy]) => html`<circle class="dot ${tone}" cx="${round(cx)}" cy="${round(cy)}" r="3.5"/>`)}<text class="curve-name" x="${HALF - MARGINS.right + 10}" y="${round(nameAt + 4)}">${name}</text>`
