import { ROUTES } from '@hypercode/contracts'
import type { OperateTask, Task } from '@hypercode/contracts'
import { AppError, implement } from '@hypercode/http'
import type { Principal, ServiceApp } from '@hypercode/http'
import { explain } from '../domain/explain.ts'
import type { TaskOperation } from '../domain/operate.ts'
import type { Engine } from '../engine/engine.ts'
import { operateTask } from '../engine/operate-task.ts'
import { readExplainFacts } from '../store/explain.ts'
import { findArtifact, findTask } from '../store/read-tasks.ts'

export function taskRoutes(app: ServiceApp, engine: Engine): void {
  implement(app, ROUTES.getTask, async (request) => {
    const task = await findTask(engine.db, request.principal.tenantId, request.params.id)
    if (task === undefined) throw new AppError('not_found')
    return task
  })

  implement(app, ROUTES.explainTask, async (request) => {
    const facts = await readExplainFacts(engine.db, request.principal.tenantId, request.params.id)
    if (facts === undefined) throw new AppError('not_found')
    return explain(facts)
  })

  const step = async (
    { tenantId, subject }: Principal,
    taskId: string,
    operation: TaskOperation,
    body: OperateTask | undefined,
  ): Promise<Task> => {
    const order = { tenantId, actor: subject, taskId, operation, reason: body?.reason }
    engine.after(await operateTask(engine.urgentDb, order))
    return (await findTask(engine.db, tenantId, taskId)) as Task
  }
  implement(app, ROUTES.cancelTask, ({ principal, params, body }) => step(principal, params.id, 'cancel', body))
  implement(app, ROUTES.retryTask, ({ principal, params, body }) => step(principal, params.id, 'retry', body))
  implement(app, ROUTES.skipTask, ({ principal, params, body }) => step(principal, params.id, 'skip', body))

  implement(app, ROUTES.getArtifact, async (request, reply) => {
    const artifact = await findArtifact(engine.db, request.principal.tenantId, request.params.id, request.params.name)
    if (artifact === undefined) throw new AppError('not_found')
    // What an agent stored is never run by a browser that is shown it.
    return reply
      .header('content-type', artifact.mediaType)
      .header('etag', `"${artifact.sha256}"`)
      .header('x-content-type-options', 'nosniff')
      .header('content-disposition', 'attachment')
      .send(artifact.content)
  })
}
