/**
 * Whether a blueprint version may become stable. Pure: what the gym has found out goes in, the run ids it rests on or what is missing
 * come out. Only the latest completed run for exactly this content counts, and only at the latest version of its suite.
 */
import type { Fault, Verdict } from '@hypercode/contracts'

/** The latest completed run of one suite for exactly this content. */
export interface SuiteEvidence {
  readonly suite: string
  /** Undefined when there is no such suite. */
  readonly latestVersion: number | undefined
  readonly run: { readonly id: string; readonly suiteVersion: number; readonly verdict: Verdict } | undefined
}

export type GateAnswer =
  | { readonly may: true; readonly runIds: readonly string[] }
  | { readonly may: false; readonly missing: readonly Fault[] }

/** `evidence` holds every suite of the gate; without a gate, every suite that the content was ever run with. */
export function judgeGate(gate: readonly string[] | undefined, evidence: readonly SuiteEvidence[]): GateAnswer {
  const passed = evidence.filter((one) => whyNot(one) === undefined)
  const runIds = passed.flatMap(({ run }) => (run === undefined ? [] : [run.id]))
  if (gate === undefined) {
    if (passed.length > 0) return { may: true, runIds }
    const fix = 'Run a suite against this version, or name the suites that count in spec.gate.'
    const nothing: Fault = { pointer: '/spec/gate', message: 'no suite has passed for this content', fix }
    return { may: false, missing: [nothing, ...faultsOf('/spec/gate', evidence)] }
  }
  const missing = gate.flatMap((suite, index): Fault[] => {
    const found = evidence.find((one) => one.suite === suite) ?? { suite, latestVersion: undefined, run: undefined }
    return faultsOf(`/spec/gate/suites/${index}`, [found])
  })
  return missing.length === 0 ? { may: true, runIds } : { may: false, missing }
}

const faultsOf = (pointer: string, evidence: readonly SuiteEvidence[]): Fault[] =>
  evidence.flatMap((one) => {
    const message = whyNot(one)
    return message === undefined ? [] : [{ pointer, message }]
  })

function whyNot({ suite, latestVersion, run }: SuiteEvidence): string | undefined {
  if (latestVersion === undefined) return `there is no suite "${suite}"`
  if (run === undefined) return `suite "${suite}" has no completed run for this content`
  if (run.suiteVersion !== latestVersion) {
    return `the latest run ${run.id} was of version ${run.suiteVersion} of suite "${suite}", which is at version ${latestVersion}`
  }
  if (run.verdict !== 'passed') return `the latest run ${run.id} of suite "${suite}" ended ${run.verdict}`
  return undefined
}

/** One decision of the past about `stable`. */
export interface PastDecision {
  readonly kind: 'promoted' | 'demoted' | 'refused'
  readonly version: number
}

/** The version that is stable again when the present one is taken back; `history` is oldest first. */
export function stableBefore(history: readonly PastDecision[]): number | undefined {
  const held: number[] = []
  for (const { kind, version } of history) {
    if (kind === 'promoted') held.push(version)
    else if (kind === 'demoted') held.pop()
  }
  const present = held.pop()
  return held.findLast((version) => version !== present)
}
