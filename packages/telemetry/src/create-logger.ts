import { pino } from 'pino'
import type { Bindings, DestinationStream, LevelWithSilent, Logger } from 'pino'
import { currentContext } from './context.ts'
import { scrubFields } from './scrub-fields.ts'
import { REDACTED, scrubText } from './scrub-text.ts'
import { parseTraceparent } from './traceparent.ts'

export type { Logger } from 'pino'

export type LogLevel = LevelWithSilent

export type LoggerOptions = {
  /** The name of the service, on every line. */
  service: string
  level: LogLevel
  /** Where the lines go; stdout when left out. */
  destination?: DestinationStream
  /** Values that must not be in any line, such as the secrets of the configuration; empty ones are ignored. */
  secrets?: readonly (string | undefined)[]
}

/**
 * A pino logger of JSON lines: `ts` (ISO 8601), `level` in words, `service`, the fields of the current context
 * (`correlationId`, `tenantId`, `missionId`, `taskId`, `attempt`, `traceId`), the fields of the call, `msg`.
 *
 * Secrets are kept out in three ways: fields with sensitive names are redacted at every depth, text that looks like a
 * credential is redacted wherever it stands, and the values of `secrets` are redacted literally.
 */
export function createLogger({ service, level, destination, secrets = [] }: LoggerOptions): Logger {
  const hideSecrets = hiderOf(secrets)
  const options = {
    level,
    base: { service },
    messageKey: 'msg',
    errorKey: 'err',
    timestamp: () => `,"ts":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }), log: scrubFields },
    // scrubFields has made them plain by now; named here so that no framework puts serializers of its own on top.
    serializers: { err: asItIs, req: asItIs, res: asItIs },
    mixin: contextFields,
    hooks: { streamWrite: (line: string) => hideSecrets(scrubText(line)) },
  }
  // Written before the call returns: pino's buffer of its own lets a fatal line overtake earlier ones, and an exit loses some.
  return withScrubbedChildren(pino(options, destination ?? pino.destination({ fd: 1, sync: true })))
}

/** pino formats the bindings of its first logger alone; children are made from scrubbed ones, and so are theirs. */
function withScrubbedChildren(logger: Logger): Logger {
  // oxlint-disable-next-line typescript/unbound-method -- each is called on the logger that it was asked of
  const { child, setBindings } = logger
  return Object.assign(logger, { child: scrubbingFirst(child), setBindings: scrubbingFirst(setBindings) })
}

function scrubbingFirst(method: (bindings: Bindings, ...rest: never[]) => unknown) {
  return function (this: Logger, bindings: Bindings, ...rest: unknown[]): unknown {
    return Reflect.apply(method, this, [scrubFields(bindings), ...rest])
  }
}

const asItIs = (value: unknown): unknown => value

function contextFields(): Record<string, unknown> {
  const { traceparent, ...fields } = currentContext()
  const traceId = parseTraceparent(traceparent)?.traceId
  return traceId === undefined ? fields : { ...fields, traceId }
}

/** Takes given values out of a line, as they are, as JSON writes them, and as a URL does. */
function hiderOf(secrets: readonly (string | undefined)[]): (line: string) => string {
  const values = secrets.filter((secret): secret is string => (secret ?? '').length >= MIN_SECRET_LENGTH)
  const spellings = values.flatMap((value) => [value, JSON.stringify(value).slice(1, -1), encodeURIComponent(value)])
  // The longest first, so that no part of a longer one is left over.
  const ordered = [...new Set(spellings)].sort((a, b) => b.length - a.length)
  return (line) =>
    ordered.reduce((rest, value) => (rest.includes(value) ? rest.replaceAll(value, REDACTED) : rest), line)
}

/** Shorter values would tear ordinary words out of the lines. */
const MIN_SECRET_LENGTH = 8
