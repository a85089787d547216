/** The style of the page: one sheet, no font and no picture from elsewhere, light and dark as the reader has it. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --page: light-dark(#f5f6f8, #0f1318);
  --card: light-dark(#ffffff, #171c23);
  --line: light-dark(#e3e6eb, #29303a);
  --soft: light-dark(#eef0f4, #1f262f);
  --ink: light-dark(#151a21, #e8ebf0);
  --dim: light-dark(#5b6572, #97a1af);
  --blue: light-dark(#2f5bd0, #7ea2ff);
  --good: light-dark(#0f8a62, #3ecb98);
  --bad: light-dark(#cc4125, #ff7d61);
  --mixed: light-dark(#b87503, #f0b24a);
  --odd: light-dark(#75609f, #b7a2e3);
  --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; font-variant-numeric: tabular-nums }
main { max-width: 1180px; margin: 0 auto; padding: 32px 24px 64px; display: grid; gap: 20px; grid-template-columns: repeat(2, minmax(0, 1fr)) }
main > * { grid-column: 1 / -1 }
main > .half { grid-column: span 1 }
h1 { font-size: 28px; line-height: 1.2; letter-spacing: -.02em; margin: 0 }
h2 { font-size: 15px; font-weight: 650; margin: 0 }
h2 + p { margin: 2px 0 14px; color: var(--dim); font-size: 13px }
header .over { color: var(--dim); font-size: 13px; font-weight: 600; margin: 0 0 6px }
header .title { display: flex; flex-wrap: wrap; align-items: center; gap: 14px }
header dl { display: flex; flex-wrap: wrap; gap: 6px 26px; margin: 14px 0 0; font-size: 13px }
header dl div { display: flex; gap: 7px; min-width: 0 }
dt { color: var(--dim) }
dd { margin: 0; overflow-wrap: anywhere }
code, pre { font-family: var(--mono); font-size: 12.5px }
.verdict { border-radius: 99px; padding: 4px 14px; font-weight: 650; font-size: 14px; color: #fff }
.verdict.passed { background: #0f8a62 }
.verdict.failed { background: #c53a1f }
.verdict.inconclusive { background: #96650a }
.verdict.none { background: #5b6572 }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 20px 22px; min-width: 0 }
.reasons { border-left: 4px solid var(--dim) }
.reasons.passed { border-left-color: var(--good) }
.reasons.failed { border-left-color: var(--bad) }
.reasons.inconclusive { border-left-color: var(--mixed) }
.reasons ul { margin: 8px 0 0; padding: 0 0 0 18px }
.tiles { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)) }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 14px 18px }
.tile p { margin: 0; font-size: 13px; color: var(--dim) }
.tile .figure { color: var(--ink); font-size: 27px; font-weight: 650; letter-spacing: -.02em; line-height: 1.25 }
.plot { display: block; width: 100%; height: auto; overflow: visible }
.chart { overflow-x: auto }
.plot.wide { min-width: 640px }
.plot text { font-size: 12.5px; fill: var(--ink) }
.plot .tick, .plot .note { fill: var(--dim); font-size: 12px }
.plot .value, .plot .curve-name { font-weight: 600 }
.plot .grid { stroke: var(--line); stroke-width: 1 }
.plot .track { fill: var(--soft) }
.plot .range { opacity: .34 }
.plot .bar { fill: var(--blue) }
.plot .good { fill: var(--good) }
.plot .bad { fill: var(--bad) }
.plot .mixed { fill: var(--mixed) }
.plot .dot { stroke: var(--card); stroke-width: 2 }
.plot .was { fill: none; stroke: var(--dim); stroke-width: 1.5; stroke-dasharray: 3 2 }
.plot .marker { stroke: var(--ink); stroke-width: 1.2; stroke-dasharray: 4 3 }
.plot .mark { font-weight: 600; font-size: 12px }
.plot path.curve { fill: none; stroke-width: 2.5 }
.plot path.curve.good { stroke: var(--good) }
.plot path.curve.mixed { stroke: var(--mixed) }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 10px 0 0; padding: 0; list-style: none; color: var(--dim); font-size: 12.5px }
.legend li::before { content: ""; display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 7px; background: var(--dim) }
.legend .good::before { background: var(--good) }
.legend .bad::before { background: var(--bad) }
.legend .mixed::before { background: var(--mixed) }
.legend .was::before { background: none; border: 1.5px dashed var(--dim); border-radius: 99px }
.scroll { overflow-x: auto; margin: 0 -22px -8px }
table { border-collapse: collapse; width: 100%; font-size: 13.5px }
th { text-align: left; color: var(--dim); font-weight: 550; font-size: 12.5px; white-space: nowrap; border-bottom: 1px solid var(--line); padding: 6px 12px }
td { border-bottom: 1px solid var(--line); padding: 9px 12px; vertical-align: top }
th:first-child, td:first-child { padding-left: 22px }
th:last-child, td:last-child { padding-right: 22px }
tbody tr:last-child td { border-bottom: 0 }
.number { text-align: right; white-space: nowrap }
.state { display: inline-flex; align-items: center; gap: 7px; font-weight: 600; white-space: nowrap }
.state::before { content: ""; width: 9px; height: 9px; border-radius: 99px; background: var(--dim) }
.state.passed::before, .state.better::before { background: var(--good) }
.state.failed::before, .state.worse::before { background: var(--bad) }
.state.errored::before { background: var(--odd) }
.state.flaky::before { background: var(--mixed) }
.filter { display: flex; flex-wrap: wrap; gap: 10px; align-items: center; margin: 0 0 10px }
.filter[hidden] { display: none }
.filter input, .filter select { font: inherit; font-size: 13.5px; color: inherit; background: var(--page); border: 1px solid var(--line); border-radius: 9px; padding: 7px 11px }
.filter input { flex: 1 1 220px; min-width: 0 }
.filter :focus-visible { outline: 2px solid var(--blue); outline-offset: 1px }
.filter output { color: var(--dim); font-size: 13px }
summary { cursor: pointer; color: var(--blue) }
details[open] summary { margin-bottom: 8px }
pre { margin: 6px 0 0; padding: 10px 12px; background: var(--soft); border-radius: 9px; white-space: pre-wrap; overflow-wrap: anywhere; max-height: 320px; overflow-y: auto }
.scores { margin: 0; padding: 0; list-style: none; display: grid; gap: 6px }
.scores pre { margin: 3px 0 0 16px }
.none { color: var(--dim); margin: 8px 0 }
footer { color: var(--dim); font-size: 12.5px }
@media (max-width: 900px) { main { padding: 20px 14px 40px } main > .half { grid-column: 1 / -1 } }
@media print { .filter { display: none } .card, .tile { break-inside: avoid } body { background: #fff } }
`
