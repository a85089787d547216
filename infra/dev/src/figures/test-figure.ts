import { inFreshClone } from './clone.ts'
import type { FigureSpec } from './figure.ts'

const MAX_MINUTES = 10
const TESTS_MIN = 200

export const testTime: FigureSpec = {
  name: 'test',
  about: 'npm test in a fresh clone: all checks and tests',
  bar: `<= ${MAX_MINUTES} min, >= ${TESTS_MIN} tests, none failed`,
  measure: async () =>
    inFreshClone(async (clone) => {
      const { code, seconds, output } = await clone.run('npm', ['test'], 30 * 60_000)
      const line = /^(\d+) passed, (\d+) failed$/m.exec(output)
      if (line === null) throw new Error(`npm test did not end with its count (exit ${code}):\n${output.slice(-4000)}`)
      const [passed, failed] = [Number(line[1]), Number(line[2])]
      const minutes = Math.round((seconds / 60) * 100) / 100
      return {
        figure: minutes,
        unit: 'min',
        ok: code === 0 && failed === 0 && passed >= TESTS_MIN && minutes <= MAX_MINUTES,
        more: { passed, failed },
      }
    }),
}
