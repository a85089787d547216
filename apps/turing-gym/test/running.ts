/** A run to be taken, and results for its samples. */
import { newId } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import type { SampleResult } from '../src/store/samples.ts'
import { blueprintOf, storeBlueprint, suiteOf } from './gym.ts'
import type { Gym } from './gym.ts'

export const RUN = { suite: 'arithmetic', blueprint: 'adder', blueprintVersion: 'candidate' }

export async function prepare(gym: Gym, db: Db, tenantId: string): Promise<{ hash: string }> {
  await gym.call('POST', '/v1/gym/suites', suiteOf())
  return await storeBlueprint(db, tenantId, blueprintOf())
}

export const result = (state: 'passed' | 'failed', more: Partial<SampleResult> = {}): SampleResult => ({
  state,
  taskId: newId(),
  outcome: 'completed',
  output: { sum: 3 },
  scores: [{ scorer: 'equals-1', kind: 'equals', score: state === 'passed' ? 1 : 0, passed: state === 'passed' }],
  score: state === 'passed' ? 1 : 0,
  latencyMs: 100,
  tokens: 7,
  usd: 0.5,
  faults: [],
  ...more,
})
