import { generateSecret } from '@hypercode/config'
import { Id, ROUTES, newId } from '@hypercode/contracts'
import { addRevocation, inTransaction, writeAudit } from '@hypercode/db'
import type { Db, RevocationList } from '@hypercode/db'
import { AppError, implement } from '@hypercode/http'
import type { ServiceApp } from '@hypercode/http'
import { refuseBeyond } from '../domain/scopes.ts'
import type { SecretCheck } from '../domain/secret-check.ts'
import { findClient, insertClient, listClients, markRevoked, replaceSecret } from '../store/clients.ts'

export interface ClientRouteDeps {
  readonly db: Db
  readonly secrets: SecretCheck
  readonly revocations: RevocationList
  /** Longest life of a token, in seconds: so long a revocation has to be remembered. */
  readonly tokenLifeS: number
}

const PAGE_DEFAULT = 50
const CURSOR = new RegExp(Id.pattern ?? '')

/** API clients of the caller's tenant. Every change has its audit row in the same transaction. */
export function clientRoutes(app: ServiceApp, { db, secrets, revocations, tokenLifeS }: ClientRouteDeps): void {
  implement(app, ROUTES.createClient, async (request, reply) => {
    const { tenantId, subject, scopes: held } = request.principal
    const { name, scopes } = request.body
    refuseBeyond(held, scopes)
    const secret = generateSecret()
    const secretHash = await secrets.hash(secret)
    const id = newId()
    const client = await inTransaction(db, async (trx) => {
      const made = await insertClient(trx, { id, tenantId, name, scopes, secretHash })
      if (made === undefined) return undefined
      await writeAudit(trx, [
        { tenantId, actor: subject, action: 'client.created', ref: id, detail: { name, scopes: [...scopes] } },
      ])
      return made
    })
    if (client === undefined) {
      throw new AppError('conflict', {
        detail: 'The tenant has a client of this name already, perhaps a revoked one.',
        fix: 'Choose another name, or give the client a new secret with POST /v1/clients/{id}:rotate.',
      })
    }
    reply.header('cache-control', 'no-store')
    return { ...client, secret }
  })

  implement(app, ROUTES.listClients, async (request) => {
    const { limit = PAGE_DEFAULT, cursor } = request.query
    if (cursor !== undefined && !CURSOR.test(cursor)) {
      throw new AppError('request_invalid', { detail: 'The cursor is not one that a page gave.' })
    }
    const found = await listClients(db, request.principal.tenantId, { limit: limit + 1, before: cursor })
    const items = found.slice(0, limit)
    const last = items.at(-1)
    return { items, ...(found.length > limit && last !== undefined && { nextCursor: last.id }) }
  })

  implement(app, ROUTES.getClient, async (request) => {
    const client = await findClient(db, request.principal.tenantId, request.params.id)
    if (client === undefined) throw new AppError('not_found')
    return client
  })

  implement(app, ROUTES.rotateClient, async (request, reply) => {
    const { tenantId, subject, scopes: held } = request.principal
    const { id } = request.params
    const known = await findClient(db, tenantId, id)
    if (known === undefined) throw new AppError('not_found')
    // Whoever learns the secret of a client can do what the client can.
    refuseBeyond(held, known.scopes)
    const secret = generateSecret()
    const secretHash = await secrets.hash(secret)
    const client = await inTransaction(db, async (trx) => {
      const changed = await replaceSecret(trx, tenantId, id, secretHash)
      if (changed !== undefined) {
        await writeAudit(trx, [{ tenantId, actor: subject, action: 'client.rotated', ref: id }])
      }
      return changed
    })
    if (client === undefined) throw new AppError('conflict', { detail: 'The client is revoked.' })
    reply.header('cache-control', 'no-store')
    return { ...client, secret }
  })

  implement(app, ROUTES.revokeClient, async (request, reply) => {
    const { tenantId, subject } = request.principal
    const { id } = request.params
    const changed = await inTransaction(db, async (trx) => {
      if (!(await markRevoked(trx, tenantId, id))) return false
      await addRevocation(trx, { tenantId, kind: 'client', ref: id, lifeS: tokenLifeS })
      await writeAudit(trx, [{ tenantId, actor: subject, action: 'client.revoked', ref: id }])
      return true
    })
    if (changed) await revocations.refresh()
    else if ((await findClient(db, tenantId, id)) === undefined) throw new AppError('not_found')
    return reply.code(204).send()
  })
}
