import { readArtifact, storeArtifact } from './artifacts.ts'
import type { Attempt } from './attempt.ts'
import { toJson } from './json.ts'
import type { OutputStream } from './output-stream.ts'
import type { Progress } from './progress.ts'
import type { AttemptDeps } from './run-attempt.ts'
import { createEffects } from './effects.ts'
import { createSteps, idempotencyKey } from './steps.ts'
import type { TaskContext } from './task-context.ts'
import { createUsage } from './usage.ts'
import { createWaits } from './waits.ts'

/** Where an attempt tells people how it goes. */
export interface Telling {
  readonly progress: Pick<Progress, 'report'>
  readonly output: Pick<OutputStream, 'write'>
}

/** The `ctx` of one attempt. */
export function createContext(attempt: Attempt, deps: AttemptDeps, { progress, output }: Telling): TaskContext {
  const { task, signal, dead } = attempt
  const { port, log, previousError } = deps
  const step = createSteps(task, port, signal)
  const usage = createUsage(port)
  const waits = createWaits(attempt, port)
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
    effect: createEffects(task, port, signal) as TaskContext['effect'],
    sleep: waits.sleep,
    waitForSignal: waits.waitForSignal,
    approval: waits.approval,
    progress: async (fraction, message) => {
      dead.throwIfAborted()
      progress.report(fraction, message)
    },
    output: async (text) => {
      dead.throwIfAborted()
      output.write(text)
    },
    usage: async (report) => {
      port.assertLive()
      await usage(report)
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
    plan: waits.plan,
    results: waits.results,
    context: {
      get: async (key) => {
        signal.throwIfAborted()
        return await port.readContext(key)
      },
      set: async (key, value, { ifVersion } = {}) => {
        signal.throwIfAborted()
        port.assertLive()
        return await port.writeContext(key, toJson(value).value, ifVersion)
      },
    },
    tasks: {
      artifacts: async () => {
        signal.throwIfAborted()
        return await port.listArtifacts()
      },
    },
  }
}
