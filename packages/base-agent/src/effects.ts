import { EFFECT_RESPONSE_MAX_CHARS, StepName } from '@hypercode/contracts'
import type { ClaimedTask } from '@hypercode/contracts'
import { TerminalError } from './errors.ts'
import { hashOf, toJson } from './json.ts'
import { idempotencyKey } from './steps.ts'
import type { TaskPort } from './task-port.ts'
import type { EffectOptions, StepRun } from './task-context.ts'

export type RunEffect = (name: string, options: EffectOptions, work: (run: StepRun) => unknown) => Promise<unknown>

const NAME = new RegExp(StepName.pattern ?? '')

/**
 * The effects of one attempt.
 * - E1: an effect is written down before it is done and after, so one that is done is not done again.
 * - E2: one that an earlier attempt was cut off in is done again only if it is idempotent; else the platform pauses the task.
 * - E3: nothing is begun once the attempt is stopped or its lease is in doubt.
 */
export function createEffects(task: ClaimedTask, port: TaskPort, signal: AbortSignal): RunEffect {
  const begun = new Set<string>()
  return async (name, { idempotent, request }, work) => {
    begin(name, begun)
    signal.throwIfAborted() // E3
    port.assertLive()
    const requestHash = request === undefined ? {} : { requestHash: hashOf(request) }
    const known = await port.putEffect(name, { state: 'intent', idempotent, ...requestHash }) // E1, E2
    if (known.state === 'done') return known.response
    signal.throwIfAborted()
    port.assertLive()
    const result = await work({ idempotencyKey: idempotencyKey(task.taskId, name), signal })
    const { value, fault } = responseOf(name, result)
    // It has happened, whatever it answered: that is kept in any case.
    const done = await port.putEffect(name, { state: 'done', idempotent, ...requestHash, response: value })
    if (fault !== undefined) throw fault
    return done.response
  }
}

function begin(name: string, begun: Set<string>): void {
  if (name.length > (StepName.maxLength ?? 200) || !NAME.test(name)) {
    throw new TerminalError(`"${name}" cannot name an effect`, 'use letters, digits, blanks and . _ - # / [ ]', {
      code: 'effect_invalid',
    })
  }
  if (begun.has(name)) {
    throw new TerminalError(`the effect "${name}" was begun twice in one attempt`, 'give every effect a name', {
      code: 'effect_repeated',
    })
  }
  begun.add(name)
}

function responseOf(name: string, result: unknown): { value: unknown; fault?: TerminalError } {
  try {
    const { value, text } = toJson(result)
    if (text.length <= EFFECT_RESPONSE_MAX_CHARS) return { value }
    const detail = `it has ${text.length} characters of ${EFFECT_RESPONSE_MAX_CHARS}`
    return { value: null, fault: invalid(`the response of the effect "${name}" is too large`, detail) }
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause)
    return { value: null, fault: invalid(`the response of the effect "${name}" is not JSON`, detail) }
  }
}

const invalid = (message: string, detail: string): TerminalError =>
  new TerminalError(message, detail, { code: 'effect_invalid' })
