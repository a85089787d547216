import { createHash } from 'node:crypto'
import { AGENT_SCOPES, ROUTES, newId } from '@hypercode/contracts'
import type { Artifact, ContextEntry, Effect } from '@hypercode/contracts'
import { AppError, implement } from '@hypercode/http'
import type { ServiceApp } from '@hypercode/http'
import type { FakeInstance } from './fake-instance.ts'
import type { FakePlatform } from './fake-platform.ts'
import type { FakeTask } from './fake-task.ts'
import type { TokenIssuer } from './fake-tokens.ts'

export interface FakeClient {
  readonly clientId: string
  readonly clientSecret: string
}

/** Every route that an agent calls, with the schemas and scopes of the platform. */
export function addRoutes(app: ServiceApp, platform: FakePlatform, issuer: TokenIssuer, client: FakeClient): void {
  addTokenRoute(app, platform, issuer, client)
  addAgentRoutes(app, platform)
  addTaskRoutes(app, platform)
  addArtifactRoutes(app, platform)
  addContextRoutes(app, platform)
}

function addTokenRoute(app: ServiceApp, platform: FakePlatform, issuer: TokenIssuer, client: FakeClient): void {
  implement(app, ROUTES.issueToken, ({ body }) => {
    if (body.client_id !== client.clientId || body.client_secret !== client.clientSecret) {
      throw new AppError('client_invalid')
    }
    const subject = body.instance === undefined ? client.clientId : `${client.clientId}/${body.instance}`
    const scope = AGENT_SCOPES.join(' ')
    const token = issuer.issue({ subject, tenantId: platform.tenantId, scope })
    return { access_token: token, token_type: 'Bearer' as const, expires_in: 300, scope }
  })
}

function addAgentRoutes(app: ServiceApp, platform: FakePlatform): void {
  const find = (subject: string, agentId: string): FakeInstance => {
    const instance = platform.instances.get(subject)
    if (instance?.agentId !== agentId) throw new AppError('not_found')
    return instance
  }
  implement(app, ROUTES.registerAgent, ({ body, principal }) => platform.register(principal.subject, body))
  implement(app, ROUTES.heartbeatAgent, ({ body, params, principal }) => {
    find(principal.subject, params.id)
    return platform.beat(principal.subject, body)
  })
  implement(app, ROUTES.getAgent, ({ params, principal }) => {
    const instance = find(principal.subject, params.id)
    return instance.view(platform.slotsUsed(instance))
  })
  implement(app, ROUTES.drainAgent, ({ params, body, principal }) => {
    const instance = find(principal.subject, params.id)
    platform.expectIncarnation(instance, body?.incarnation)
    instance.lifecycle = 'draining'
    return instance.view(platform.slotsUsed(instance))
  })
  implement(app, ROUTES.stopInstance, async ({ params, query, principal }, reply) => {
    const instance = find(principal.subject, params.id)
    platform.expectIncarnation(instance, query.incarnation)
    platform.stop(instance)
    return await reply.code(204).send()
  })
}

function addTaskRoutes(app: ServiceApp, platform: FakePlatform): void {
  implement(app, ROUTES.claimTasks, async ({ body, principal }, reply) => {
    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort())
    return { tasks: await platform.claim(principal.subject, body, gone.signal) }
  })
  implement(app, ROUTES.completeTasks, ({ body, principal }) => platform.complete(principal.subject, body))
  implement(app, ROUTES.getTask, ({ params }) => find(platform, params.id).view())
  implement(app, ROUTES.recordStep, ({ body, params, principal }, reply) => {
    const task = platform.held(principal.subject, params.id, body)
    const recorded = task.steps.find(({ name }) => name === params.name)
    if (recorded !== undefined) {
      if (recorded.requestHash !== body.requestHash) throw new AppError('idempotency_mismatch')
      return recorded
    }
    const { requestHash, response } = body
    const step = { name: params.name, ...(requestHash !== undefined && { requestHash }), response }
    task.steps.push(step)
    reply.code(201)
    return step
  })
  implement(app, ROUTES.putEffect, ({ body, params, principal }, reply) => {
    const task = platform.held(principal.subject, params.id, body)
    const known = task.effects.get(params.name)
    const { attempt, state, idempotent, requestHash, response } = body
    if (known !== undefined && known.requestHash !== requestHash) throw new AppError('idempotency_mismatch')
    if (known?.state === 'done') return known
    if (known === undefined && state === 'done') throw new AppError('conflict')
    if (known !== undefined && state === 'intent' && known.attempt !== attempt && !known.idempotent) {
      task.effects.set(params.name, { ...known, state: 'unknown' })
      platform.pause(task)
      throw new AppError('effect_unknown')
    }
    const effect: Effect = {
      name: params.name,
      key: `${task.id}:${params.name}`,
      state,
      idempotent,
      attempt,
      ...(requestHash !== undefined && { requestHash }),
      ...(state === 'done' && { response: response ?? null, doneAt: new Date().toISOString() }),
      createdAt: known?.createdAt ?? new Date().toISOString(),
    }
    task.effects.set(params.name, effect)
    reply.code(known === undefined ? 201 : 200)
    return effect
  })
  implement(app, ROUTES.reportProgress, async ({ body, params, principal }, reply) => {
    const task = platform.held(principal.subject, params.id, body)
    const { fraction, message } = body
    task.progress.push({ fraction, ...(message !== undefined && { message }), atMs: performance.now() })
    return await reply.code(204).send()
  })
  implement(app, ROUTES.recordUsage, async ({ body, params, principal }, reply) => {
    const task = platform.held(principal.subject, params.id, body)
    const { incarnation: _, attempt: __, ...usage } = body
    if (!task.usage.has(usage.key)) task.usage.set(usage.key, usage)
    return await reply.code(204).send()
  })
  implement(app, ROUTES.streamOutput, async ({ body, params, principal }, reply) => {
    const task = platform.held(principal.subject, params.id, body)
    task.said.push({ text: body.text, attempt: body.attempt, atMs: performance.now() })
    return await reply.code(204).send()
  })
}

function addArtifactRoutes(app: ServiceApp, platform: FakePlatform): void {
  implement(
    app,
    ROUTES.putArtifact,
    ({ body, params, query, principal, headers }, reply) => {
      const task = platform.held(principal.subject, params.id, query)
      const artifact: Artifact = {
        id: newId(),
        taskId: task.id,
        taskKey: task.key,
        name: params.name,
        mediaType: headers['content-type'] ?? 'application/octet-stream',
        sizeBytes: body.byteLength,
        sha256: createHash('sha256').update(body).digest('hex'),
        attempt: query.attempt,
        createdAt: new Date().toISOString(),
      }
      const known = task.artifacts.has(params.name)
      task.artifacts.set(params.name, { artifact, bytes: body })
      reply.code(known ? 200 : 201)
      return artifact
    },
    { body: 'bytes' },
  )
  implement(app, ROUTES.getArtifact, ({ params }, reply) => {
    const stored = find(platform, params.id).artifacts.get(params.name)
    if (stored === undefined) throw new AppError('not_found')
    reply.type(stored.artifact.mediaType)
    return stored.bytes
  })
  implement(app, ROUTES.listMissionArtifacts, ({ params }) => {
    const tasks = [...platform.tasks.values()].filter(({ missionId }) => missionId === params.id)
    return { items: tasks.flatMap(({ artifacts }) => [...artifacts.values()].map(({ artifact }) => artifact)) }
  })
}

function addContextRoutes(app: ServiceApp, platform: FakePlatform): void {
  const sharedBy = (missionId: string): Map<string, ContextEntry> => {
    const shared = platform.shared.get(missionId) ?? new Map<string, ContextEntry>()
    platform.shared.set(missionId, shared)
    return shared
  }
  implement(app, ROUTES.planTasks, ({ body, principal }, reply) => {
    const manager = platform.held(principal.subject, body.taskId, body)
    reply.code(201)
    return { taskIds: platform.plan(manager, body.name, body.tasks) }
  })
  implement(app, ROUTES.getContext, ({ params }) => {
    const entry = sharedBy(params.id).get(params.key)
    if (entry === undefined) throw new AppError('not_found')
    return entry
  })
  implement(app, ROUTES.putTaskContext, ({ body, params, principal }, reply) => {
    const task = platform.held(principal.subject, params.id, body)
    const shared = sharedBy(task.missionId)
    const before = shared.get(params.key)?.version ?? 0
    if (body.ifVersion !== undefined && body.ifVersion !== before) throw new AppError('version_mismatch')
    const { key } = params
    const updatedAt = new Date().toISOString()
    const { value } = body
    const entry = { key, value, version: before + 1, taskId: task.id, updatedBy: principal.subject, updatedAt }
    shared.set(key, entry)
    reply.code(before === 0 ? 201 : 200)
    return entry
  })
}

function find(platform: FakePlatform, taskId: string): FakeTask {
  const task = platform.tasks.get(taskId)
  if (task === undefined) throw new AppError('not_found')
  return task
}
