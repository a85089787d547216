import type { Rule } from '../rule.ts'

const kind = 'error-handling'

export const SWALLOWED: Rule = {
  kind,
  id: 'swallowed-exception',
  title: 'Every exception is swallowed',
  priority: 'P0',
  confidence: 'high',
  impact:
    'Whatever goes wrong here, a lost database, a timeout or a plain bug, leaves no trace: the service carries on in a state that nobody can explain.',
  recommendation:
    'Catch the narrowest exception that is expected, log the rest with its stack trace and context (logger.exception), and let what cannot be handled propagate.',
}

export const SWALLOWED_SPECIFIC: Rule = {
  kind,
  id: 'swallowed-dependency-failure',
  title: 'A failure of a dependency is dropped',
  priority: 'P1',
  confidence: 'medium',
  impact: 'An outage of the database, the cache or a remote service passes unseen at this place.',
  recommendation:
    'Log the failure with what was being done, and decide between a retry, a degraded answer and an error.',
}

export const SILENT_FALLBACK: Rule = {
  kind,
  id: 'silent-fallback',
  title: 'Any exception turns silently into a default value',
  priority: 'P2',
  confidence: 'low',
  impact: 'A bug and an expected failure look the same from outside, and neither is logged.',
  recommendation: 'Name the exception that the fallback is meant for, and log any other one.',
}

export const UNLOGGED: Rule = {
  kind,
  id: 'unlogged-bare-except',
  title: 'A bare except neither logs nor raises',
  priority: 'P1',
  confidence: 'medium',
  impact: 'It also catches KeyboardInterrupt, SystemExit and cancellation, and nobody learns that it happened.',
  recommendation:
    'Catch Exception or something narrower, log it with its stack trace, and re-raise what is not handled.',
}

export const SUPPRESSED_ALL: Rule = {
  ...SWALLOWED,
  id: 'suppressed-exception',
  title: 'contextlib.suppress drops every exception',
  recommendation: 'Name the one exception that may be ignored in suppress(), or catch and log it.',
}

export const EMPTY_CATCH: Rule = {
  ...SWALLOWED,
  id: 'empty-catch',
  title: 'An empty catch swallows every error',
  recommendation:
    'Handle the error, log it with its context, or rethrow it with a cause; when it may be ignored, check its code first and rethrow any other.',
}

export const EMPTY_REJECTION: Rule = {
  ...SWALLOWED,
  id: 'swallowed-rejection',
  title: 'A rejected promise is dropped',
  recommendation:
    'Await the promise inside try/catch, or log the error in the handler; a handler that does nothing hides every failure.',
}

export const EMPTY_LISTENER: Rule = {
  kind,
  id: 'empty-error-listener',
  title: 'An error event is ignored',
  priority: 'P1',
  confidence: 'medium',
  impact: 'Lost connections and broken streams are reported only through this event, and nobody hears it.',
  recommendation: 'Log the error with the name of its source, and count it.',
}

export const LOST_TASK: Rule = {
  kind,
  id: 'fire-and-forget-task',
  title: 'A background task is started and forgotten',
  priority: 'P1',
  confidence: 'high',
  impact:
    'The event loop keeps only a weak reference: the task may be collected half way, and its exception is never seen by anybody.',
  recommendation:
    'Keep the task in a set, log its exception in a done callback, or run it in a TaskGroup that waits for it.',
}

export const VOID_PROMISE: Rule = {
  kind,
  id: 'void-promise',
  title: 'A promise is started with void and nobody handles its rejection',
  priority: 'P2',
  confidence: 'low',
  impact:
    'If it rejects, the process ends with an unhandled rejection or, with a global handler, the work is silently lost.',
  recommendation: 'Await it, or attach a catch that logs the error with its context.',
}
