import { ROUTES } from '@hypercode/contracts'
import { AppError, checkIdCursor, implement, pageOf } from '@hypercode/http'
import type { Principal, ServiceApp } from '@hypercode/http'
import { discard, edit, replay } from '../engine/dead-letters.ts'
import type { LetterOrder } from '../engine/dead-letters.ts'
import type { Engine } from '../engine/engine.ts'
import { findDeadLetter, listDeadLetters } from '../store/dead-letters.ts'

export function deadLetterRoutes(app: ServiceApp, engine: Engine): void {
  implement(app, ROUTES.listDeadLetters, async (request) => {
    const { limit = 50, ...filter } = request.query
    checkIdCursor(filter.cursor)
    return pageOf(
      {
        rows: await listDeadLetters(engine.db, request.principal.tenantId, { ...filter, limit: limit + 1 }),
        cut: false,
      },
      limit,
      (letter) => letter.id,
    )
  })

  implement(app, ROUTES.getDeadLetter, async (request) => {
    const letter = await findDeadLetter(engine.db, request.principal.tenantId, request.params.id)
    if (letter === undefined) throw new AppError('not_found')
    return letter
  })

  implement(app, ROUTES.replayDeadLetter, async (request) => {
    const { letter, saved } = await replay(engine.urgentDb, orderOf(request.principal, request.params.id))
    engine.after(saved)
    return letter
  })

  implement(app, ROUTES.discardDeadLetter, async (request) => {
    const { letter, saved } = await discard(engine.urgentDb, orderOf(request.principal, request.params.id))
    engine.after(saved)
    return letter
  })

  implement(app, ROUTES.editDeadLetter, async (request) => {
    const { letter, saved } = await edit(
      engine.urgentDb,
      orderOf(request.principal, request.params.id),
      request.body.input,
    )
    engine.after(saved)
    return letter
  })
}

const orderOf = ({ tenantId, subject }: Principal, id: string): LetterOrder => ({ tenantId, actor: subject, id })
