/** Missions that have ended, for tests of their retention. */
import type { Db } from '@hypercode/db'
import { crewOf } from '../harness.ts'
import type { AgentCaller, Stage } from '../harness.ts'

export const known = async (db: Db): Promise<string[]> =>
  (await db.selectFrom('missions').select('id').orderBy('id').execute()).map(({ id }) => id)

export async function finished(
  stage: Stage,
  agent: AgentCaller,
  manifest: object = crewOf('x', [{ id: 'a' }]),
): Promise<string> {
  const { id } = await stage.submit(manifest)
  for (;;) {
    const claimed = await agent.claim({ waitMs: 0 })
    if (claimed.length === 0) return id
    for (const task of claimed) await agent.complete(task, { done: true })
  }
}
