import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { ROUTES } from '@hypercode/contracts'
import type { TokenClaims } from '@hypercode/contracts'
import type { Db, RevocationList } from '@hypercode/db'
import { AppError, implement } from '@hypercode/http'
import type { ServiceApp } from '@hypercode/http'
import type { FastifyRequest } from 'fastify'
import { noInstance } from '../engine/not-there.ts'
import { readLines } from '../store/logs.ts'
import type { LogLine } from '../store/logs.ts'

export interface LogRouteOptions {
  readonly db: Db
  readonly revocations: RevocationList
  /** Streams open at the same time. */
  readonly streamsMax: number
}

const PAGE = 500
const POLL_MS = 300
const BEAT_MS = 15_000

/** What an instance wrote, over SSE. Lines come from the database, so it does not matter which replica looks after the instance. */
export function logRoutes(app: ServiceApp, { db, revocations, streamsMax }: LogRouteOptions): void {
  let open = 0

  implement(app, ROUTES.readInstanceLogs, async (request, reply) => {
    const { tenantId } = request.principal
    const { id } = request.params
    const { follow = true } = request.query
    const after = startOf(request, request.query.cursor)
    // Asked before the stream begins, so that an unknown instance is a 404 and not an empty stream.
    if ((await readLines(db, tenantId, id, after, 1)) === undefined) throw noInstance(id)
    if (open >= streamsMax)
      throw new AppError('unavailable', { detail: `${streamsMax} streams are open.`, retryAfterMs: 5000 })
    open += 1
    const stream = Readable.from(
      linesOf({
        db,
        tenantId,
        id,
        after,
        follow,
        signal: app.drainSignal,
        isAllowed: permission(request, revocations),
      }),
    )
    stream.once('close', () => {
      open -= 1
    })
    return reply.header('cache-control', 'no-store').header('x-accel-buffering', 'no').send(stream)
  })
}

interface Reading {
  readonly db: Db
  readonly tenantId: string
  readonly id: string
  readonly after: number
  readonly follow: boolean
  readonly signal: AbortSignal
  /** False when the token has expired or was revoked. */
  readonly isAllowed: () => boolean
}

/** Reads on only when what came before was taken, so a slow reader holds one page. */
async function* linesOf({ db, tenantId, id, after, follow, signal, isAllowed }: Reading): AsyncGenerator<string> {
  let last = after
  let saidMs = performance.now()
  yield 'retry: 1000\n\n'
  while (!signal.aborted && isAllowed()) {
    const page = await readLines(db, tenantId, id, last, PAGE)
    if (page === undefined) return
    const text = page.lines.map(eventOf).join('')
    last = page.lines.at(-1)?.seq ?? last
    const isBeatDue = performance.now() - saidMs >= BEAT_MS
    if (text !== '' || isBeatDue) {
      saidMs = performance.now()
      yield text === '' ? ': beat\n\n' : text
    }
    if (page.lines.length === PAGE) continue
    if (!follow || page.isOver) return
    await sleep(POLL_MS)
  }
}

/** What an agent writes is a JSON object as text; it has no line break, but it is not ours, so none is trusted to be absent. */
const eventOf = ({ seq, line }: LogLine): string => `id: ${seq}\ndata: ${line.replaceAll(/[\r\n]+/g, ' ')}\n\n`

/** Last-Event-ID wins over the cursor: a browser that comes back repeats the address with its old cursor. */
function startOf({ headers }: FastifyRequest, cursor = 0): number {
  const last = headers['last-event-id']
  if (last === undefined || last === '') return cursor
  if (typeof last !== 'string' || !/^\d{1,15}$/.test(last)) {
    throw new AppError('request_invalid', { detail: 'Last-Event-ID is not the number of a line.' })
  }
  return Number(last)
}

/** A stream must not outlive its token, which was checked before; whoever reads on comes back with a new one and misses nothing. */
function permission({ headers }: FastifyRequest, revocations: RevocationList): () => boolean {
  const payload = headers.authorization?.split('.')[1] ?? ''
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as TokenClaims
  return () => claims.exp * 1000 > Date.now() && !revocations.isRevoked(claims)
}
