import type { HyperClient } from '@hypercode/client'
import { ROUTES } from '@hypercode/contracts'
import type { CloudEvent, JournalEntry, Mission, Task } from '@hypercode/contracts'
import type { ArtifactReader, Evidence, EvidenceEvent } from '../scoring/scorer.ts'
import { allPages } from './pages.ts'
import { costsOf } from './mission.ts'
import type { MissionBounds } from './mission.ts'
import { persist } from './persist.ts'

/** Bounds of what is gathered of one task; what is beyond is not looked at. */
const JOURNAL_MAX = 20_000
const EVENTS_MAX = 50_000
const ARTIFACTS_MAX = 1000

/** What only the gym knows of a sample. */
export interface OwnKnowledge {
  readonly faultsInjected: readonly string[]
  /** From when its time counts. */
  readonly since: string
}

/** Reads everything that a task which has ended left behind. */
export async function gatherEvidence(
  client: HyperClient,
  mission: Mission,
  task: Task,
  { faultsInjected, since }: OwnKnowledge,
  bounds: MissionBounds,
): Promise<Evidence> {
  const { id } = mission
  const [journal, events, artifacts, costs] = await Promise.all([
    readJournal(client, id, bounds),
    readEvents(client, id, bounds),
    artifactsOf(client, task, bounds),
    costsOf(client, id, bounds, task.id),
  ])
  return {
    outcome: outcomeOf(task),
    ...(task.error !== undefined && { error: { code: task.error.code, message: task.error.message } }),
    ...(task.output !== undefined && { output: task.output }),
    steps: journal
      .filter(({ kind, taskId, name }) => kind === 'step' && taskId === task.id && name !== undefined)
      .map(({ name = '', response }) => ({ name, response })),
    artifacts,
    latencyMs: Math.max(0, Date.parse(task.endedAt ?? since) - Date.parse(since)),
    tokens: costs.tokens,
    usd: costs.usd,
    faultsInjected,
    events,
  }
}

function outcomeOf({ state }: Task): Evidence['outcome'] {
  return state === 'completed' || state === 'failed' || state === 'rejected' ? state : 'canceled'
}

async function readJournal(
  client: HyperClient,
  id: string,
  { awayMs, signal }: MissionBounds,
): Promise<JournalEntry[]> {
  const page = async (cursor: string | undefined) =>
    (await client.call(ROUTES.getMissionJournal, { params: { id }, query: { limit: 500, cursor }, signal })).body
  return await persist({ forMs: awayMs, signal }, async () => await allPages(page, JOURNAL_MAX))
}

/** The mission has ended, so its stream ends too. */
async function readEvents(
  client: HyperClient,
  id: string,
  { awayMs, signal }: MissionBounds,
): Promise<EvidenceEvent[]> {
  return await persist({ forMs: awayMs, signal }, async () => {
    const events: CloudEvent[] = []
    for await (const event of client.stream(ROUTES.watchMission, { params: { id }, query: { cursor: 0 }, signal })) {
      events.push(event)
      if (events.length >= EVENTS_MAX) break
    }
    return events
  })
}

async function artifactsOf(
  client: HyperClient,
  task: Task,
  { awayMs, signal }: MissionBounds,
): Promise<ArtifactReader> {
  const page = async (cursor: string | undefined) =>
    (
      await client.call(ROUTES.listMissionArtifacts, {
        params: { id: task.missionId },
        query: { limit: 500, cursor },
        signal,
      })
    ).body
  const found = await persist({ forMs: awayMs, signal }, async () => await allPages(page, ARTIFACTS_MAX))
  return {
    names: found.filter(({ taskId }) => taskId === task.id).map(({ name }) => name),
    read: async (name) =>
      await persist(
        { forMs: awayMs, signal },
        async () => (await client.raw(ROUTES.getArtifact, { params: { id: task.id, name }, signal })).body,
      ),
  }
}
