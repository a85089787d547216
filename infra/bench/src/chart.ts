import { View, parse } from 'vega'
import { compile } from 'vega-lite'
import type { TopLevelSpec } from 'vega-lite'
import { OURS } from './entries.ts'
import type { Results } from './results.ts'
import { WORKLOADS, WORKLOAD_NAMES } from './workloads.ts'
import type { WorkloadName } from './workloads.ts'

/** Four bar charts in one picture, as SVG. */
export async function drawChart(results: Results): Promise<string> {
  const view = new View(parse(compile(specOf(results)).spec), { renderer: 'none' })
  try {
    return await view.toSVG()
  } finally {
    view.finalize()
  }
}

const specOf = (results: Results): TopLevelSpec => ({
  $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
  background: 'white',
  padding: 12,
  columns: 2,
  spacing: { row: 28, column: 40 },
  config: { font: 'system-ui, sans-serif', view: { stroke: null }, axis: { grid: false, domain: false, ticks: false } },
  concat: WORKLOAD_NAMES.map((name) => panelOf(results, name)),
})

type Panel = Extract<TopLevelSpec, { concat: unknown }>['concat'][number]

function panelOf({ entries }: Results, name: WorkloadName): Panel {
  const { about, unit, better } = WORKLOADS[name]
  const values = entries.flatMap(({ id, label, figures }) => {
    const figure = figures[name]
    if (figure === undefined) return []
    const [low, high] = [Math.min(...figure.runs), Math.max(...figure.runs)]
    return [{ label, isOurs: id === OURS, median: figure.median, low, high }]
  })
  return {
    title: {
      text: `${name}: ${unit}, ${better} is better`,
      subtitle: about,
      anchor: 'start',
      subtitleFontSize: 10,
      subtitleColor: '#555',
    },
    width: 300,
    height: { step: 22 },
    data: { values },
    encoding: { y: { field: 'label', type: 'nominal', sort: null, title: null, axis: { labelLimit: 240 } } },
    layer: [
      {
        mark: { type: 'bar', height: 14 },
        encoding: {
          x: { field: 'median', type: 'quantitative', title: null, axis: { tickCount: 4 } },
          color: { condition: { test: 'datum.isOurs', value: '#d9480f' }, value: '#98a2b3' },
        },
      },
      {
        mark: { type: 'rule', color: '#344054' },
        encoding: { x: { field: 'low', type: 'quantitative' }, x2: { field: 'high' } },
      },
      {
        mark: { type: 'text', align: 'left', dx: 6, fontSize: 10 },
        encoding: {
          x: { field: 'high', type: 'quantitative' },
          text: { field: 'median', type: 'quantitative', format: better === 'less' ? ',.2f' : ',.0f' },
        },
      },
    ],
  }
}
