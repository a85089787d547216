import type { ReportInput } from '../report.ts'
import { barChart } from './charts/bars.ts'
import { latencyChart } from './charts/latency.ts'
import { passCurveChart } from './charts/pass-curves.ts'
import { passRateChart } from './charts/pass-rates.ts'
import { HALF, WIDE } from './charts/plot.ts'
import { short, usd } from './format.ts'
import { html } from './markup.ts'
import type { Content, Markup } from './markup.ts'

/** Everything that is better seen than read. */
export function charts({ run, samples, comparison }: ReportInput): Markup {
  const scenarios = run.scenarios ?? []
  if (scenarios.length === 0) return html``
  const curves = passCurveChart(scenarios)
  const latency = latencyChart(samples, curves === undefined ? WIDE : HALF)
  const costs = costCards(scenarios)
  return html`${card(
    'Pass rate per scenario',
    'The dot is what was seen, the band where the true rate is likely to be.',
    [passRateChart(scenarios, comparison), comparison === undefined ? undefined : WAS_LEGEND],
  )}
${card('Latency', 'From the submit to the end of the task.', [latency, RESULT_LEGEND], curves !== undefined)}
${curves === undefined ? undefined : card('More than one try', 'pass@k: at least one of k tries passes. pass^k: all of them do.', curves, true)}
${costs}`
}

const WAS_LEGEND = html`<ul class="legend"><li class="was">in the run that it is compared with</li></ul>`

const RESULT_LEGEND = html`<ul class="legend"><li class="good">passed</li><li class="bad">failed</li></ul>`

/** Agents that ask no model have neither tokens nor costs, and no charts of nothing. */
function costCards(scenarios: NonNullable<ReportInput['run']['scenarios']>): Markup {
  const perSample = (of: 'tokens' | 'usd') =>
    scenarios.map((scenario) => ({ name: scenario.id, value: scenario[of] / Math.max(1, scenario.samples) }))
  const [tokens, dollars] = [perSample('tokens'), perSample('usd')]
  const [hasTokens, hasCosts] = [tokens, dollars].map((bars) => bars.some(({ value }) => value > 0))
  const isHalf = hasTokens === true && hasCosts === true
  const width = isHalf ? HALF : WIDE
  return html`${hasTokens === true ? card('Tokens', 'Per sample, the mean of each scenario.', barChart('Tokens per sample', tokens, short, width), isHalf) : undefined}
${hasCosts === true ? card('Cost', 'Per sample, the mean of each scenario.', barChart('Cost per sample', dollars, usd, width), isHalf) : undefined}`
}

const card = (title: string, note: string, content: Content, isHalf = false): Markup =>
  html`<section class="card${isHalf ? ' half' : ''}"><h2>${title}</h2><p>${note}</p>${content}</section>`
