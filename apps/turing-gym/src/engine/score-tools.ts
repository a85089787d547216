import type { SuiteManifest } from '@hypercode/contracts'
import { createJudge } from '../scoring/index.ts'
import type { ScoreTools } from '../scoring/index.ts'
import type { EngineDeps } from './run-context.ts'

/** What the scorers of a suite may use in this gym. Its judge is calibrated once for all that is scored with these. */
export function scoreTools(
  { modules, sandbox, model }: Pick<EngineDeps, 'modules' | 'sandbox' | 'model'>,
  { spec: { judge } }: SuiteManifest,
  signal: AbortSignal,
): ScoreTools {
  return {
    modules,
    signal,
    ...(sandbox !== undefined && { sandbox }),
    ...(model !== undefined && judge !== undefined && { judge: createJudge(model, judge) }),
  }
}
