import { readFileSync } from 'node:fs'
import path from 'node:path'
import { ROUTES } from '@hypercode/contracts'
import type { Mission, Task } from '@hypercode/contracts'
import type { HyperClient } from '@hypercode/client'
import { ROOT } from './checkout.ts'

/** The crew that audits a repository. */
const CREW_FILE = path.join(ROOT, 'apps/auditor-agent/crews/readiness-audit.yaml')
const LOOK_MS = 200
/** The crew has a deadline of its own; this is for a platform that does not keep it. */
const LONGEST_MS = 30 * 60_000

export interface MissionView {
  readonly mission: Mission
  /** In the order of the plan. */
  readonly tasks: readonly Task[]
}

/** Submits the readiness audit of `target` and answers its id. */
export async function submitAudit(client: HyperClient, target: string, signal: AbortSignal): Promise<string> {
  const { body } = await client.call(ROUTES.submitMission, {
    body: {
      manifest: readFileSync(CREW_FILE, 'utf8'),
      input: { root: target },
      labels: { purpose: 'readiness-audit' },
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
  show: (view: MissionView) => void,
  signal: AbortSignal,
): Promise<MissionView> {
  const deadline = Date.now() + LONGEST_MS
  for (;;) {
    const { body: mission } = await client.call(ROUTES.getMission, { params: { id }, signal })
    const view = { mission, tasks: await allTasks(client, id, signal) }
    show(view)
    if (mission.endedAt !== undefined) return view
    if (Date.now() >= deadline) throw new Error(`mission ${id} has not ended within ${LONGEST_MS / 60_000} minutes`)
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
