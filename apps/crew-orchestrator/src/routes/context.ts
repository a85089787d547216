import { ROUTES } from '@hypercode/contracts'
import type { ContextEntry } from '@hypercode/contracts'
import { AppError, implement } from '@hypercode/http'
import type { ServiceApp } from '@hypercode/http'
import type { Engine } from '../engine/engine.ts'
import {
  CONTEXT_CHARS_MAX,
  CONTEXT_KEYS_MAX,
  CONTEXT_VALUE_CHARS_MAX,
  listContext,
  readContext,
  writeContext,
  writeTaskContext,
} from '../store/context.ts'
import type { ContextWritten } from '../store/context.ts'
import { missionExists } from '../store/read-missions.ts'
import { took } from '../engine/fenced.ts'
import { fenceOf } from './fence.ts'

/** What the tasks of a mission share. */
export function contextRoutes(app: ServiceApp, engine: Engine): void {
  implement(app, ROUTES.listContext, async ({ principal, params }) => {
    await mustExist(engine, principal.tenantId, params.id)
    return { items: await listContext(engine.db, params.id) }
  })

  implement(app, ROUTES.getContext, async ({ principal, params }, reply) => {
    await mustExist(engine, principal.tenantId, params.id)
    const entry = await readContext(engine.db, params.id, params.key)
    if (entry === undefined) throw new AppError('not_found')
    return reply.header('etag', `"${entry.version}"`).send(entry)
  })

  implement(app, ROUTES.putContext, async ({ principal, params, body, headers }, reply) => {
    const { tenantId, subject } = principal
    await mustExist(engine, tenantId, params.id)
    const match = headers['if-match']
    const ifVersion = match === undefined ? undefined : Number(match.slice(1, -1))
    const order = { key: params.key, value: body.value, ifVersion, by: subject }
    const entry = entryOf(engine, await writeContext(engine.urgentDb, tenantId, params.id, order))
    return reply
      .code(entry.version === 1 ? 201 : 200)
      .header('etag', `"${entry.version}"`)
      .send(entry)
  })

  implement(app, ROUTES.putTaskContext, async ({ principal, params, body }, reply) => {
    const order = { key: params.key, value: body.value, ifVersion: body.ifVersion, by: principal.subject }
    const entry = entryOf(engine, await writeTaskContext(engine.urgentDb, fenceOf(principal, params.id, body), order))
    return reply
      .code(entry.version === 1 ? 201 : 200)
      .header('etag', `"${entry.version}"`)
      .send(entry)
  })
}

function entryOf(engine: Engine, written: ContextWritten): ContextEntry {
  switch (written.kind) {
    case 'closed':
      throw new AppError('conflict', { detail: 'the mission has ended' })
    case 'changed':
      throw new AppError('version_mismatch')
    case 'full':
      throw new AppError('unprocessable', {
        detail: `A mission shares at most ${CONTEXT_KEYS_MAX} keys with ${CONTEXT_VALUE_CHARS_MAX} characters each and ${CONTEXT_CHARS_MAX} together.`,
        fix: 'Store what is large as an artifact.',
      })
    default:
      return took(engine, written).entry
  }
}

async function mustExist(engine: Engine, tenantId: string, id: string): Promise<void> {
  if (!(await missionExists(engine.db, tenantId, id))) throw new AppError('not_found')
}
