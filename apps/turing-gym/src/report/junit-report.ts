import type { GymSample } from '@hypercode/contracts'
import { create } from 'xmlbuilder2'
import type { XMLBuilder } from 'xmlbuilder2/lib/interfaces.js'
import type { ReportInput } from './report.ts'

/** JUnit XML as CI servers read it: a test suite per scenario, a test case per repetition. */
export function junitReport({ run, samples }: ReportInput): string {
  const root = create({ version: '1.0', encoding: 'UTF-8', invalidCharReplacement: '\u{fffd}' }).ele('testsuites', {
    name: `${run.suite} v${run.suiteVersion}`,
    ...countsOf(samples),
  })
  const byScenario = Map.groupBy(samples, ({ scenario }) => scenario)
  for (const [scenario, of] of byScenario) {
    const suite = root.ele('testsuite', {
      name: scenario,
      ...countsOf(of),
      skipped: String(of.filter(isSkipped).length),
    })
    addProperties(suite, {
      blueprint: `${run.blueprint}@${run.blueprintVersion}`,
      blueprintHash: run.blueprintHash,
      run: run.id,
      ...(run.verdict !== undefined && { verdict: run.verdict }),
    })
    for (const sample of of) addCase(suite, run.suite, sample)
  }
  return `${root.doc().end({ prettyPrint: true })}\n`
}

const isSkipped = ({ state }: GymSample): boolean => state === 'skipped' || state === 'planned' || state === 'running'

function countsOf(samples: readonly GymSample[]): Record<string, string> {
  const count = (state: GymSample['state']): string => String(samples.filter((sample) => sample.state === state).length)
  return {
    tests: String(samples.length),
    failures: count('failed'),
    errors: count('errored'),
    time: seconds(sum(samples)),
  }
}

function addProperties(suite: XMLBuilder, values: Readonly<Record<string, string>>): void {
  const properties = suite.ele('properties')
  for (const [name, value] of Object.entries(values)) properties.ele('property', { name, value })
}

/** Of an output; who wants all of it reads the JSON. */
const OUTPUT_MAX_CHARS = 4000

function addCase(suite: XMLBuilder, suiteName: string, sample: GymSample): void {
  const test = suite.ele('testcase', {
    name: `${sample.scenario} #${sample.repetition}`,
    classname: `${suiteName}.${sample.scenario}`,
    time: seconds(sample.latencyMs ?? 0),
  })
  if (isSkipped(sample)) test.ele('skipped')
  if (sample.state === 'errored') test.ele('error', { message: sample.error ?? 'could not be judged', type: 'errored' })
  if (sample.state === 'failed') {
    const missed = sample.scores.filter(({ passed }) => !passed)
    const message =
      missed.length === 0 ? (sample.error ?? 'failed') : `not passed: ${missed.map(({ scorer }) => scorer).join(', ')}`
    const lines = missed.map(
      ({ scorer, score, detail }) => `${scorer} (${score.toFixed(2)})${detail === undefined ? '' : `: ${detail}`}`,
    )
    test.ele('failure', { message, type: 'failed' }).txt(lines.join('\n'))
  }
  const output = sample.output === undefined ? '' : (JSON.stringify(sample.output) ?? '')
  if (output !== '') test.ele('system-out').txt(output.slice(0, OUTPUT_MAX_CHARS).toWellFormed())
}

const sum = (samples: readonly GymSample[]): number =>
  samples.reduce((total, { latencyMs = 0 }) => total + latencyMs, 0)

const seconds = (ms: number): string => (ms / 1000).toFixed(3)
