import type { ScenarioSummary } from '@hypercode/contracts'
import { duration, percent, usd, whole } from './format.ts'
import { html } from './markup.ts'
import type { Markup } from './markup.ts'

const HEADS = ['Passed', 'Rate', '95 % interval', 'pass^k', 'Errored', 'p50', 'p95', 'Tokens', 'Cost']

/** The figures behind the charts. */
export const scenariosCard = (scenarios: readonly ScenarioSummary[]): Markup =>
  html`<section class="card" id="scenarios"><h2>Scenarios</h2><p>pass^k for the largest k that the samples allow.</p>
<div class="scroll"><table><thead><tr><th>Scenario</th>${HEADS.map((head) => html`<th class="number">${head}</th>`)}</tr></thead><tbody>
${scenarios.map(rowOf)}
</tbody></table></div></section>`

function rowOf(scenario: ScenarioSummary): Markup {
  const { id, samples, passed, errored, passRate, interval, passHatK, p50Ms, p95Ms, tokens, usd: dollars } = scenario
  const last = passHatK.at(-1)
  const cells = [
    `${whole(passed)} of ${whole(samples - errored)}`,
    samples === errored ? '–' : percent(passRate),
    `${percent(interval.low)} to ${percent(interval.high)}`,
    last === undefined ? '–' : `${percent(last)} (k = ${passHatK.length})`,
    whole(errored),
    p50Ms === undefined ? '–' : duration(p50Ms),
    p95Ms === undefined ? '–' : duration(p95Ms),
    whole(tokens),
    usd(dollars),
  ]
  return html`<tr><td>${id}</td>${cells.map((cell) => html`<td class="number">${cell}</td>`)}</tr>`
}
