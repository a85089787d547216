import { readArtifact, storeArtifact } from './artifacts.ts'
import type { Attempt } from './attempt.ts'
import type { Progress } from './progress.ts'
import type { AttemptDeps } from './run-attempt.ts'
import { createSteps, idempotencyKey } from './steps.ts'
import type { TaskContext } from './task-context.ts'

/** The `ctx` of one attempt. */
export function createContext(attempt: Attempt, deps: AttemptDeps, progress: Pick<Progress, 'report'>): TaskContext {
  const { task, signal, dead } = attempt
  const { port, log, previousError } = deps
  const step = createSteps(task, port, signal)
  return {
    taskId: task.taskId,
    missionId: task.missionId,
    key: task.key,
    skill: task.skill,
    attempt: task.attempt,
    correlationId: task.correlationId,
    previousError,
    signal,
    log,
    // The journal holds JSON, which is what Jsonified says of the result.
    step: step as TaskContext['step'],
    idempotencyKey: (stepName) => idempotencyKey(task.taskId, stepName),
    progress: async (fraction, message) => {
      dead.throwIfAborted()
      progress.report(fraction, message)
    },
    artifact: async (name, data, mediaType) => {
      signal.throwIfAborted()
      port.assertLive()
      return await storeArtifact(port, name, data, mediaType)
    },
    readArtifact: async (taskKey, name) => {
      signal.throwIfAborted()
      return await readArtifact(port, taskKey, name)
    },
    tasks: {
      artifacts: async () => {
        signal.throwIfAborted()
        return await port.listArtifacts()
      },
    },
  }
}
