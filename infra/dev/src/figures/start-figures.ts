import path from 'node:path'
import type { Clone, RunResult } from './clone.ts'
import { inFreshClone } from './clone.ts'
import type { Figure, FigureSpec } from './figure.ts'

const COLD_MAX_S = 90
const WARM_MAX_S = 15
/** Far beyond the bars: a start that takes so long is broken. */
const TIMEOUT_MS = 10 * 60_000

export const startCold: FigureSpec = {
  name: 'start-cold',
  about: 'npm start -- --once in a fresh clone with empty package caches, to the completed mission',
  bar: `<= ${COLD_MAX_S} s`,
  measure: async () => inFreshClone(async (clone) => toFigure(await start(clone, emptyCaches(clone)), COLD_MAX_S)),
}

export const startWarm: FigureSpec = {
  name: 'start-warm',
  about: 'the same a second time',
  bar: `<= ${WARM_MAX_S} s`,
  measure: async () =>
    inFreshClone(async (clone) => {
      await start(clone)
      return toFigure(await start(clone), WARM_MAX_S)
    }),
}

/** npm's and pnpm's caches and stores inside the clone's parent, so that nothing is there and nothing stays. */
function emptyCaches({ dir }: Clone): Record<string, string> {
  const caches = path.join(dir, '..', 'caches')
  return {
    npm_config_cache: path.join(caches, 'npm'),
    XDG_CACHE_HOME: path.join(caches, 'cache'),
    XDG_DATA_HOME: path.join(caches, 'data'),
    npm_config_store_dir: path.join(caches, 'store'),
  }
}

async function start(clone: Clone, env: Record<string, string> = {}): Promise<RunResult> {
  const result = await clone.run('npm', ['start', '--', '--once'], TIMEOUT_MS, env)
  if (result.code !== 0) throw new Error(`npm start ended with ${result.code}:\n${result.output.slice(-4000)}`)
  return result
}

const toFigure = ({ seconds }: RunResult, max: number): Figure => ({
  figure: Math.round(seconds * 10) / 10,
  unit: 's',
  ok: seconds <= max,
})
