import { ROUTES } from '@hypercode/contracts'
import type { RegisterAgent, Registration } from '@hypercode/contracts'
import { cardFaults } from '@hypercode/base-agent/card'
import type { Lane } from '@hypercode/db'
import { AppError, implement } from '@hypercode/http'
import type { Principal, ServiceApp } from '@hypercode/http'
import { currentContext } from '@hypercode/telemetry'
import type { FastifyReply } from 'fastify'
import type { RegistrationOutcome, RegistrationRequest } from '../domain/registration.ts'

export interface RegistrationDeps {
  readonly registrations: Lane<RegistrationRequest, RegistrationOutcome>
  readonly leaseMs: number
  readonly heartbeatMs: number
}

export function registrationRoutes(app: ServiceApp, deps: RegistrationDeps): void {
  const register = async (
    { principal, body }: { principal: Principal; body: RegisterAgent },
    reply: FastifyReply,
  ): Promise<Registration> => {
    checkCard(body)
    const { tenantId, subject } = principal
    const { correlationId } = currentContext()
    const request = { tenantId, subject, card: body, correlationId }
    const outcome = await deps.registrations.submit(request)
    if (outcome.kind !== 'registered') throw refusal(outcome)
    const { agentId: id, instanceId, incarnation, first } = outcome
    reply.code(first ? 201 : 200)
    if (first) reply.header('location', `/v1/agents/${id}`)
    return { id, instanceId, incarnation, leaseMs: deps.leaseMs, heartbeatMs: deps.heartbeatMs }
  }
  implement(app, ROUTES.registerAgent, register)
  implement(app, ROUTES.registerAgentAlias, register)
}

/** What no schema can say of a card. */
function checkCard({ slots: _, ...card }: RegisterAgent): void {
  const faults = cardFaults(card)
  if (faults.length > 0) throw new AppError('request_invalid', { detail: faults[0]?.message, faults })
}

function refusal(outcome: Exclude<RegistrationOutcome, { kind: 'registered' }>): AppError {
  if (outcome.kind === 'bound') {
    return new AppError('conflict', {
      detail: `The token subject is bound to the agent ${outcome.name}.`,
      fix: 'Register under that name, or get a token with another "instance" or of another client.',
    })
  }
  if (outcome.kind === 'quarantined') {
    return new AppError('conflict', { detail: 'The instance is in quarantine until a person releases it.' })
  }
  return new AppError('unprocessable', { detail: 'The tenant of the token does not exist.' })
}
