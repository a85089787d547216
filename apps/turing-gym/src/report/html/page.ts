import { createHash } from 'node:crypto'
import type { RenderedReport, ReportInput } from '../report.ts'
import { charts } from './chart-cards.ts'
import { comparisonCard } from './comparison-card.ts'
import { FILTER_SCRIPT } from './filter-script.ts'
import { html, trusted } from './markup.ts'
import { pageHeader, reasonsCard, tiles } from './overview.ts'
import { samplesCard } from './samples-card.ts'
import { scenariosCard } from './scenarios-card.ts'
import { STYLE } from './style.ts'

const hashed = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

const RULES = `default-src 'none'; style-src ${hashed(STYLE)}; script-src ${hashed(FILTER_SCRIPT)}; base-uri 'none'; form-action 'none'`

/** For the header, where a policy can say more than in the page: its origin has nothing to do with the one it came from. */
const POLICY = `${RULES}; frame-ancestors 'none'; sandbox allow-scripts`

/** One page without a request to anywhere: it can be opened from a disk, mailed, or kept with a build. */
export function htmlReport(input: ReportInput): Pick<RenderedReport, 'body' | 'contentSecurityPolicy'> {
  const { run, comparison } = input
  const title = `${run.suite} · ${run.blueprint}@${run.blueprintVersion} · ${run.verdict ?? run.state}`
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${RULES}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${title}</title>
<style>${trusted(STYLE)}</style>
</head>
<body>
<main>
${pageHeader(run)}
${reasonsCard(run)}
${tiles(input)}
${charts(input)}
${comparison === undefined ? undefined : comparisonCard(comparison)}
${scenariosCard(run.scenarios ?? [])}
${samplesCard(input.samples)}
<footer>Run <code>${run.id}</code> of suite ${run.suite} v${run.suiteVersion}. Intervals are Wilson's at 95 %; pass@k and pass^k are unbiased estimates. Samples that errored were not judged and count as neither.</footer>
</main>
<script>${trusted(FILTER_SCRIPT)}</script>
</body>
</html>
`
  return { body: page.text, contentSecurityPolicy: POLICY }
}
