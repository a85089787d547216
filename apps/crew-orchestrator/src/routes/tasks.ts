import { ROUTES } from '@hypercode/contracts'
import { AppError, implement } from '@hypercode/http'
import type { ServiceApp } from '@hypercode/http'
import type { Engine } from '../engine/engine.ts'
import { findArtifact, findTask } from '../store/read-tasks.ts'

export function taskRoutes(app: ServiceApp, engine: Engine): void {
  implement(app, ROUTES.getTask, async (request) => {
    const task = await findTask(engine.db, request.principal.tenantId, request.params.id)
    if (task === undefined) throw new AppError('not_found')
    return task
  })

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
