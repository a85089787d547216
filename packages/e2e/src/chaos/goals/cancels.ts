import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import type { SinkRecord } from '../../checker/effects.ts'
import { readJsonLines } from '../../checker/json-lines.ts'
import type { Goal } from '../goal.ts'
import { oneTask, startLoad } from '../load.ts'
import { percentile } from '../measure.ts'
import type { Rig } from '../rig.ts'

const TOLD_P99_MS = 1000
const EFFECT_GRACE_MS = 1000
const FULL_CANCELS = 2000
const CANCELS_PER_S_MAX = 33

interface Note {
  missionId: string
  reason: string
  atMs: number
}

export const r15: Goal = {
  name: 'R15',
  about: 'cancels at random moments, against completion',
  bar: `one outcome each, agent told p99 <= ${TOLD_P99_MS} ms, no effect begun > ${EFFECT_GRACE_MS} ms after the cancel`,
  minFaults: 20,
  keepsStreams: true,
  run: async ({ rig, random, seconds, name }) => {
    const load = startLoad(rig, {
      name,
      perSecond: Math.min(CANCELS_PER_S_MAX, FULL_CANCELS / seconds),
      cancelShare: 1,
      random,
      manifest: () => oneTask({ waitMs: Math.round(random.between(0, 4000)), effects: ['keyed', 'plain'] }),
    })
    await sleep(seconds * 1000)
    await load.stop()
    await sleep(3000)
    const acked = new Map(
      rig.client.records
        .filter(({ op, phase }) => op === 'cancel' && phase === 'ok')
        .map(({ missionId, atMs }) => [missionId ?? '', atMs]),
    )
    const told = readNotes(rig.files.notes).flatMap(({ missionId, reason, atMs }) => {
      const ackedAtMs = acked.get(missionId)
      return reason === 'canceled' && ackedAtMs !== undefined ? [Math.max(0, atMs - ackedAtMs)] : []
    })
    const late = await lateEffects(rig, acked)
    const p99 = Math.round(percentile(told, 0.99))
    return {
      figure: p99,
      unit: 'ms until the agent was told, p99',
      ok: p99 <= TOLD_P99_MS && late === 0 && told.length > 0,
      faults: acked.size,
      inFlight: told.length,
      more: { cancels: acked.size, told: told.length, lateEffects: late },
    }
  },
}

function readNotes(file: string): Note[] {
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean)
  return lines.map((line) => JSON.parse(line) as Note)
}

async function lateEffects(rig: Rig, acked: ReadonlyMap<string, number>): Promise<number> {
  const { rows } = await sql<{ id: string; mission: string }>`
    select id, mission_id as mission from tasks where mission_id = any (${[...acked.keys()]}::uuid[])`.execute(
    rig.database.db,
  )
  const missionOf = new Map(rows.map(({ id, mission }) => [id, mission]))
  return readJsonLines<SinkRecord>(rig.files.sink).filter(({ taskId, intentAtMs }) => {
    const ackedAtMs = acked.get(missionOf.get(taskId) ?? '')
    return ackedAtMs !== undefined && intentAtMs > ackedAtMs + EFFECT_GRACE_MS
  }).length
}
