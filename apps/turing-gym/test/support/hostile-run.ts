import type { GymSample } from '@hypercode/contracts'
import type { ReportInput } from '../../src/report/index.ts'

/** What an agent, or a suite, could say to get out of its place. */
const HOSTILE = `</script><script>alert(1)</script><img src=x onerror=alert(2)>"'\`]]>&lt;\u0000\u0007\u202e\ud800 <style>*{display:none}`

/** The run, with every text in it replaced. */
export function hostile(input: ReportInput): ReportInput {
  const spoil = (sample: GymSample): GymSample => ({
    ...sample,
    scenario: HOSTILE,
    outcome: HOSTILE,
    output: { [HOSTILE]: HOSTILE },
    error: HOSTILE,
    faultsInjected: [HOSTILE],
    scores: [{ scorer: HOSTILE, kind: HOSTILE, score: 0, passed: false, detail: HOSTILE }],
  })
  const { run, comparison, samples } = input
  return {
    run: {
      ...run,
      suite: HOSTILE,
      blueprint: HOSTILE,
      blueprintHash: HOSTILE,
      createdBy: HOSTILE,
      error: HOSTILE,
      reasons: [HOSTILE],
      scenarios: (run.scenarios ?? []).map((one) => ({ ...one, id: HOSTILE })),
    },
    samples: samples.map(spoil),
    ...(comparison !== undefined && {
      comparison: {
        ...comparison,
        baselineId: HOSTILE,
        scenarios: comparison.scenarios.map((one) => ({ ...one, id: HOSTILE })),
      },
    }),
  }
}
