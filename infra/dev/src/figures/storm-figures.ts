import { GOALS, runStorms } from '@hypercode/e2e/storms'
import type { FigureSpec } from './figure.ts'

const SEED = 7
/** Of faults, for each goal: what settles after them comes on top. */
const SECONDS: Readonly<Record<string, number>> = {
  R1: 600,
  R2: 600,
  R3: 120,
  R4: 1200, // half of it without Redis
  R5: 90,
  R6: 120,
  R8: 300,
  R10: 60,
  R13: 60,
  R14: 60,
  R15: 120, // 2,000 cancels
}

/** One figure for each storm: `r1` is the storm R1 alone, on a platform of its own. */
export const storms: readonly FigureSpec[] = GOALS.toSorted(
  (a, b) => Number(a.name.slice(1)) - Number(b.name.slice(1)),
).map((goal) => ({
  name: goal.name.toLowerCase(),
  about: goal.about,
  bar: goal.bar,
  measure: async () => {
    const reports: Record<string, unknown>[] = []
    const ok = await runStorms({
      seconds: SECONDS[goal.name] ?? 60,
      seed: SEED,
      only: [goal.name],
      log: (line) => process.stderr.write(`${line}\n`),
      onReport: (report) => reports.push(report),
    })
    const { figure, unit, faults, submits, acked, settleMs, open, violations } = reports[0] ?? {}
    for (const violation of violations as unknown[]) process.stderr.write(`violation: ${JSON.stringify(violation)}\n`)
    return {
      figure: Number(figure),
      unit: String(unit),
      ok,
      more: {
        faults: Number(faults),
        submits: Number(submits),
        acked: Number(acked),
        settleMs: Number(settleMs),
        open: Number(open),
        violations: (violations as unknown[]).length,
      },
    }
  },
}))
