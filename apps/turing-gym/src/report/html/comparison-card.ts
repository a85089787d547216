import type { GymComparison } from '@hypercode/contracts'
import { percent } from './format.ts'
import { html } from './markup.ts'
import type { Markup } from './markup.ts'

const VERDICTS: Readonly<Record<GymComparison['verdict'], string>> = {
  better: 'Better than before',
  worse: 'Worse than before',
  same: 'As good as before',
  not_enough_evidence: 'Not enough evidence of a change',
}

/** What changed since another run; scenarios that did not come last. */
export function comparisonCard({ verdict, pValue, baselineId, scenarios }: GymComparison): Markup {
  const rank = ({ change }: GymComparison['scenarios'][number]): number => ORDER.indexOf(change)
  return html`<section class="card" id="comparison"><h2>${VERDICTS[verdict]}</h2><p>Compared with run <code>${baselineId}</code>; exact test over the samples that both have, p = ${pValue < 0.001 ? '< 0.001' : pValue.toFixed(3)}.</p>
<div class="scroll"><table><thead><tr><th>Scenario</th><th>Change</th><th class="number">Before</th><th class="number">Now</th></tr></thead><tbody>
${scenarios
  .toSorted((a, b) => rank(a) - rank(b))
  .map(
    ({ id, change, before, after }) =>
      html`<tr><td>${id}</td><td><span class="state ${change}">${change}</span></td><td class="number">${rateOf(before)}</td><td class="number">${rateOf(after)}</td></tr>`,
  )}
</tbody></table></div></section>`
}

const ORDER: readonly GymComparison['scenarios'][number]['change'][] = [
  'worse',
  'better',
  'flaky',
  'added',
  'removed',
  'same',
]

const rateOf = (rate: number | undefined): string => (rate === undefined ? '–' : percent(rate))
