import { readFileSync } from 'node:fs'
import path from 'node:path'
import { ROUTES } from '@hypercode/contracts'
import type { Mission, Task } from '@hypercode/contracts'
import type { HyperClient } from '@hypercode/client'
import { ROOT } from './checkout.ts'

/** The crews that audit a repository, and that fix what they find. */
const CREWS = path.join(ROOT, 'apps/auditor-agent/crews')
const LOOK_MS = 200
/** The crew has a deadline of its own; this is for a platform that does not keep it. */
const LONGEST_MS = { 'readiness-audit': 30 * 60_000, 'audit-and-fix': 6 * 3_600_000 } as const
export type AuditCrew = keyof typeof LONGEST_MS

export interface MissionView {
  readonly mission: Mission
  /** In the order of the plan. */
  readonly tasks: readonly Task[]
}

/** Submits the readiness audit of `target` and answers its id. */
export async function submitAudit(
  client: HyperClient,
  crew: AuditCrew,
  target: string,
  signal: AbortSignal,
): Promise<string> {
  const { body } = await client.call(ROUTES.submitMission, {
    body: {
      manifest: readFileSync(path.join(CREWS, `${crew}.yaml`), 'utf8'),
      input: { root: target },
      labels: { purpose: crew },
    },
    idempotencyKey: crypto.randomUUID(),
    signal,
  })
  return body.id
}

/**
 * Follows a mission to its end and shows every look at it.
 *
 * @throws Error when it has not ended within the bound
 */
export async function followMission(
  client: HyperClient,
  id: string,
  crew: AuditCrew,
  show: (view: MissionView) => void,
  signal: AbortSignal,
): Promise<MissionView> {
  const deadline = Date.now() + LONGEST_MS[crew]
  for (;;) {
    const { body: mission } = await client.call(ROUTES.getMission, { params: { id }, signal })
    const view = { mission, tasks: await allTasks(client, id, signal) }
    show(view)
    if (mission.endedAt !== undefined) return view
    if (Date.now() >= deadline)
      throw new Error(`mission ${id} has not ended within ${LONGEST_MS[crew] / 60_000} minutes`)
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    signal.throwIfAborted()
  }
}

async function allTasks(client: HyperClient, id: string, signal: AbortSignal): Promise<Task[]> {
  const tasks: Task[] = []
  let cursor: string | undefined
  do {
    const { body } = await client.call(ROUTES.listMissionTasks, {
      params: { id },
      query: { limit: 200, cursor },
      signal,
    })
    tasks.push(...body.items)
    cursor = body.nextCursor
  } while (cursor !== undefined)
  return tasks
}
