import type { GymSample } from '@hypercode/contracts'
import { cut, duration, usd, whole } from './format.ts'
import { html } from './markup.ts'
import type { Markup } from './markup.ts'

/** Rows of the page; all of them are in the JSON. */
const SAMPLES_MAX = 1000
const OUTPUT_MAX_CHARS = 4000
const DETAIL_MAX_CHARS = 2000
const STATES = [
  'failed',
  'errored',
  'passed',
  'skipped',
  'running',
  'planned',
] as const satisfies readonly GymSample['state'][]

/** Every sample with its scores; what asks to be looked at comes first. */
export function samplesCard(samples: readonly GymSample[]): Markup {
  const ordered = samples.toSorted((a, b) => STATES.indexOf(a.state) - STATES.indexOf(b.state))
  const shown = ordered.slice(0, SAMPLES_MAX)
  const note =
    shown.length < samples.length
      ? `The first ${whole(SAMPLES_MAX)} of ${whole(samples.length)}; the JSON report has all.`
      : 'Those that failed or errored first.'
  const states = STATES.filter((state) => shown.some((sample) => sample.state === state))
  return html`<section class="card" id="samples"><h2>Samples</h2><p>${note}</p>
<div class="filter" role="search" hidden><input type="search" placeholder="Scenario, scorer, text of an output …" aria-label="Filter by text" autocomplete="off"><select aria-label="Filter by state"><option value="">all states</option>${states.map((state) => html`<option value="${state}">${state}</option>`)}</select><output></output></div>
<div class="scroll"><table><thead><tr><th>Scenario</th><th>State</th><th class="number">Score</th><th class="number">Latency</th><th class="number">Tokens</th><th class="number">Cost</th><th>What was seen</th></tr></thead><tbody>
${shown.map(rowOf)}
</tbody></table></div></section>`
}

function rowOf(sample: GymSample): Markup {
  const { scenario, repetition, state, score, latencyMs, tokens, usd: dollars } = sample
  return html`<tr data-state="${state}"><td>${scenario} <span class="none">#${repetition}</span></td><td><span class="state ${state}">${state}</span></td><td class="number">${score === undefined ? '–' : score.toFixed(2)}</td><td class="number">${latencyMs === undefined ? '–' : duration(latencyMs)}</td><td class="number">${tokens === undefined ? '–' : whole(tokens)}</td><td class="number">${dollars === undefined ? '–' : usd(dollars)}</td><td>${seen(sample)}</td></tr>`
}

function seen({ scores, output, error, faultsInjected = [], outcome }: GymSample): Markup {
  const missed = scores.filter(({ passed }) => !passed).map(({ scorer }) => scorer)
  const head =
    error ?? (missed.length > 0 ? `not passed: ${missed.join(', ')}` : `${scores.length} of ${scores.length} scorers`)
  return html`<details><summary>${cut(head, 160)}</summary><ul class="scores">${scores.map(
    ({ scorer, score, passed, detail }) =>
      html`<li><span class="state ${passed ? 'passed' : 'failed'}">${scorer} ${score.toFixed(2)}</span>${detail === undefined ? undefined : html`<pre>${cut(detail, DETAIL_MAX_CHARS)}</pre>`}</li>`,
  )}</ul>${outcome === undefined ? undefined : html`<p>Outcome: ${outcome}${faultsInjected.length > 0 ? `; faults: ${faultsInjected.join(', ')}` : ''}</p>`}${error === undefined ? undefined : html`<pre>${cut(error, DETAIL_MAX_CHARS)}</pre>`}${output === undefined ? undefined : html`<pre>${cut(JSON.stringify(output, undefined, 2) ?? '', OUTPUT_MAX_CHARS)}</pre>`}</details>`
}
