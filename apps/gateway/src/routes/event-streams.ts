import { ROUTES } from '@hypercode/contracts'
import type { TokenClaims } from '@hypercode/contracts'
import type { Db, RevocationList } from '@hypercode/db'
import { AppError, implement } from '@hypercode/http'
import type { ServiceApp } from '@hypercode/http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { decodeJwt } from 'jose'
import { findAgentHead, findMissionHead, readAgentEvents, readMissionEvents } from '../store/events.ts'
import type { EventHub } from '../streams/event-hub.ts'
import { createEventReader } from '../streams/event-reader.ts'
import { agentsTopic, missionTopic } from '../streams/news.ts'
import { agentSseEvent, missionSseEvent } from '../streams/sse-event.ts'

export interface EventStreamRouteDeps {
  readonly db: Db
  readonly hub: EventHub
  readonly revocations: RevocationList
  readonly maxStreams: number
  readonly onReadError: (error: unknown) => void
}

/** How long a subscriber waits before it comes back. */
const RETRY_TEXT = 'retry: 1000\n\n'

/** Events over SSE. What is sent always comes from Postgres, so a subscriber that comes back misses nothing and gets nothing twice. */
export function eventStreamRoutes(app: ServiceApp, deps: EventStreamRouteDeps): void {
  const { db, hub, onReadError, maxStreams } = deps
  const missions = createEventReader({
    name: 'mission-events',
    load: (wants, limit) => readMissionEvents(db, wants, limit),
    maxWaiting: maxStreams,
  })
  const agents = createEventReader({
    name: 'agent-events',
    load: (wants, limit) => readAgentEvents(db, wants, limit),
    maxWaiting: maxStreams,
  })

  implement(app, ROUTES.watchMission, async (request, reply) => {
    const { tenantId } = request.principal
    const { id } = request.params
    const asked = startOf(request, request.query.cursor) ?? 0
    const head = await findMissionHead(db, tenantId, id)
    if (head === undefined) throw new AppError('not_found')
    if (request.method === 'HEAD') return headOnly(reply)
    const after = Math.min(asked, head.seq)
    // Anything else would make a browser come back for ever.
    if (head.ended && after === head.seq) return reply.code(204).send()
    const stream = hub.open(missionTopic(id), {
      reader: missions,
      want: {
        key: id,
        tenantId,
        after,
        render: (row) => missionSseEvent(tenantId, id, head, row),
      },
      preamble: RETRY_TEXT,
      over: head.ended,
      isAllowed: permission(request, deps.revocations),
      onReadError,
    })
    return streaming(reply).send(stream)
  })

  implement(app, ROUTES.watchAgents, async (request, reply) => {
    const { tenantId } = request.principal
    const asked = startOf(request, request.query.cursor)
    const head = await findAgentHead(db, tenantId)
    if (request.method === 'HEAD') return headOnly(reply)
    const after = Math.min(asked ?? head, head)
    const stream = hub.open(agentsTopic(tenantId), {
      reader: agents,
      want: { key: tenantId, tenantId, after, render: (row) => agentSseEvent(tenantId, row) },
      // An id without data moves the subscriber's Last-Event-ID: it can come back although no event has come yet.
      preamble: `${RETRY_TEXT}id: ${after}\n\n`,
      over: false,
      isAllowed: permission(request, deps.revocations),
      onReadError,
    })
    return streaming(reply).send(stream)
  })
}

const streaming = (reply: FastifyReply): FastifyReply =>
  reply.header('cache-control', 'no-store').header('x-accel-buffering', 'no')

const headOnly = (reply: FastifyReply): FastifyReply => reply.header('cache-control', 'no-store').send()

/** Last-Event-ID wins over the cursor: a browser that comes back repeats the address with its old cursor. */
function startOf(request: FastifyRequest, cursor: number | undefined): number | undefined {
  const last = request.headers['last-event-id']
  if (last === undefined || last === '') return cursor
  if (typeof last !== 'string' || !/^\d{1,15}$/.test(last)) {
    throw new AppError('request_invalid', { detail: 'Last-Event-ID is not the id of an event of this stream.' })
  }
  return Number(last)
}

/** A stream must not outlive its token; the caller comes back with a new one and misses nothing. */
function permission(request: FastifyRequest, revocations: RevocationList): () => boolean {
  const claims = decodeJwt(request.headers.authorization?.split(' ').at(-1) ?? '') as unknown as TokenClaims
  return () => claims.exp * 1000 > Date.now() && !revocations.isRevoked(claims)
}
