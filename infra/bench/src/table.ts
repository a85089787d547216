import { OURS } from './entries.ts'
import type { EntryResults, Results } from './results.ts'
import { WORKLOADS, WORKLOAD_NAMES } from './workloads.ts'
import type { WorkloadName } from './workloads.ts'

const BEGIN = '<!-- results:begin -->'
const END = '<!-- results:end -->'

/** The text with what stands between its markers replaced. */
export function replaceResults(text: string, replacement: string): string {
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)]
  if (from < 0 || to < from) throw new Error(`the README has no ${BEGIN} … ${END}`)
  return `${text.slice(0, from)}${BEGIN}\n${replacement}\n${text.slice(to)}`
}

/** What the README tells of a run: where, how they did, and how they were set. */
export function describeResults(results: Results): string {
  const { machine, rounds, measuredAt } = results
  const where = `${machine['cores']} cores (${machine['cpu']}), ${machine['memoryGiB']} GiB, Node ${machine['node']}, Postgres ${machine['postgres']}, PgBouncer ${machine['pgbouncer']}, Redis ${machine['redis']}`
  return [
    `Measured on ${measuredAt.slice(0, 10)}: ${where}; load average before it ${machine['loadBefore']}. Medians of ${rounds}, in brackets the lowest and the highest.`,
    tableOf(results.entries),
    '![The same as a chart](results/latest.svg)',
    '### What each was set to',
    ...results.entries.map(settingsOf),
  ].join('\n\n')
}

function tableOf(entries: readonly EntryResults[]): string {
  const ours = entries.find(({ id }) => id === OURS)
  const head = ['', ...WORKLOAD_NAMES.map((name) => `${name}, ${WORKLOADS[name].unit}`)]
  const rows = entries.map((entry) => [
    `${entry.label} ${entry.version}`,
    ...WORKLOAD_NAMES.map((name) => cellOf(entry, ours, name)),
  ])
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

/** `6,087 (5,290–6,335), 0.9×`: the last is what we do of theirs, so that more is better for us in every column. */
function cellOf(entry: EntryResults, ours: EntryResults | undefined, name: WorkloadName): string {
  const figure = entry.figures[name]
  if (figure === undefined) return '–'
  const text = `${figure.median.toLocaleString('en')} (${extent(figure.runs)})`
  const own = ours?.figures[name]
  if (own === undefined || entry === ours) return text
  const share = WORKLOADS[name].better === 'more' ? own.median / figure.median : figure.median / own.median
  return `${text}, we ${share.toFixed(2)}×`
}

const extent = (runs: readonly number[]): string =>
  `${Math.min(...runs).toLocaleString('en')}–${Math.max(...runs).toLocaleString('en')}`

function settingsOf({ label, version, durability, settings }: EntryResults): string {
  const lines = Object.entries(settings).map(([what, how]) => `* ${what}: ${how}`)
  return [`**${label} ${version}**`, '', `* durable: ${durability}`, ...lines].join('\n')
}
