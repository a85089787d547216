import { TypeGuard } from '@sinclair/typebox'
import type { TSchema } from '@sinclair/typebox'
import { Ajv } from 'ajv'
import type { ErrorObject, Options, ValidateFunction } from 'ajv'
import addFormats from 'ajv-formats'
import type { FastifySchemaCompiler } from 'fastify'
import { AppError } from './app-error.ts'
import { compiledOnce } from './compiled-once.ts'
import { faultsOf } from './schema-faults.ts'

/** Bodies above this many values get their first fault only: to collect all would let one bad body cost seconds. */
const VALUES_FOR_ALL_FAULTS = 5000

const STRICT: Options = {
  strict: true,
  allowUnionTypes: true,
  strictRequired: false,
  strictTypes: false,
  useDefaults: true,
}

/** Bodies are judged as they were sent: nothing is coerced and nothing is removed. Only defaults are filled in. */
const body = ajvPair({ coerceTypes: false, removeAdditional: false })

/** Parameters, query strings and headers are text, so numbers and booleans are read from it. */
const text = ajvPair({ coerceTypes: true, removeAdditional: false })

/** What `validatorCompiler` of Fastify is: one function per schema, made once at boot. */
export const compileRequestSchema: FastifySchemaCompiler<TSchema> = ({ schema, httpPart = '' }) =>
  httpPart === 'body' ? compileBody(schema) : compilePart(schema, httpPart)

/** The check of path parameters, query string or headers. */
export const compilePart = (schema: TSchema, httpPart: string): ((data: unknown) => true | { error: AppError }) =>
  compileWith(text, schema, PART[httpPart] ?? 'request')

/** The check of a body. With `textToo` a body that came as text passes: its handler reads it. */
export function compileBody(schema: TSchema, textToo = false): (data: unknown) => true | { error: AppError } {
  const check = compileWith(body, schema, 'body')
  const optional = TypeGuard.IsOptional(schema)
  return (data) => {
    // Fastify hands over null for a request without a body.
    if (optional && data === null) return true
    if (textToo && typeof data === 'string') return true
    return check(data)
  }
}

const PART: Readonly<Record<string, string>> = { params: 'path', querystring: 'query string', headers: 'headers' }

/** Answers the faults of `data`; undefined when there are none. */
type Check = (data: unknown) => readonly ErrorObject[] | undefined

/** Valid data pays for the quick check alone; the one that collects every fault is compiled when the first fault is met. */
function ajvPair(options: Options): (schema: TSchema) => Check {
  const first = new Ajv({ ...STRICT, ...options })
  const all = new Ajv({ ...STRICT, ...options, allErrors: true, verbose: true })
  addFormats.default(first)
  addFormats.default(all)
  return compiledOnce((schema) => {
    const quick = first.compile(schema)
    let thorough: ValidateFunction | undefined
    return (data) => {
      if (quick(data)) return undefined
      if (!holdsAtMost(data, VALUES_FOR_ALL_FAULTS)) return quick.errors ?? []
      thorough ??= all.compile(schema)
      return (thorough(data) ? quick.errors : thorough.errors) ?? []
    }
  })
}

function compileWith(
  checkOf: (schema: TSchema) => Check,
  schema: TSchema,
  part: string,
): (data: unknown) => true | { error: AppError } {
  const check = checkOf(schema)
  return (data) => {
    const errors = check(data)
    return errors === undefined || { error: requestInvalid(errors, part, data) }
  }
}

function requestInvalid(errors: readonly ErrorObject[], part: string, data: unknown): AppError {
  if (part === 'body' && data === null)
    return new AppError('request_invalid', { detail: 'The request needs a JSON body.' })
  const faults = faultsOf(errors)
  const first = faults[0]
  const detail = `The ${part} has ${errors.length === 1 ? 'a fault' : `${errors.length} faults`}; ${first?.pointer || 'it'} ${first?.message}.`
  return new AppError('request_invalid', { detail, faults })
}

function holdsAtMost(data: unknown, max: number): boolean {
  let left = max
  const open = [data]
  while (open.length > 0) {
    const value = open.pop()
    if (--left < 0) return false
    if (typeof value !== 'object' || value === null) continue
    for (const member of Object.values(value)) {
      open.push(member)
      if (open.length > max) return false
    }
  }
  return true
}
