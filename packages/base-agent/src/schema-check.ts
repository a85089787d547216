import type { Fault } from '@hypercode/contracts'
import type { TSchema } from '@sinclair/typebox'
import { Ajv } from 'ajv'
import type { ErrorObject } from 'ajv'
import formats from 'ajv-formats'

/** What is wrong with a value, each fault with its JSON pointer; empty when the value fits. */
export type Check = (value: unknown) => Fault[]

/**
 * Compiles a schema into a check. Nothing is coerced and nothing is removed; defaults are filled in when `useDefaults` is set.
 * @throws when the schema itself is wrong, also for a misspelt keyword or an unknown format
 */
export function compileCheck(schema: TSchema, options: { readonly useDefaults?: boolean } = {}): Check {
  const ajv = new Ajv({
    allErrors: true,
    coerceTypes: false,
    removeAdditional: false,
    useDefaults: options.useDefaults ?? false,
    strict: false,
    strictSchema: true,
    validateFormats: true,
  })
  formats.default(ajv)
  const validate = ajv.compile(schema)
  return (value) => (validate(value) ? [] : (validate.errors ?? []).slice(0, MAX_FAULTS).map(toFault))
}

/** One line for people and for the next attempt: `/files/0 must be string; /summary is missing`. */
export function describeFaults(faults: readonly Fault[]): string {
  return faults.map(({ pointer, message }) => `${pointer === '' ? 'the value' : pointer} ${message}`).join('; ')
}

/** Enough to repair a value; a broken list of thousands would only fill the error. */
const MAX_FAULTS = 20

function toFault(error: ErrorObject): Fault {
  const params = error.params as Readonly<Record<string, unknown>>
  switch (error.keyword) {
    case 'required':
      return { pointer: join(error.instancePath, params['missingProperty']), message: 'is missing' }
    case 'additionalProperties':
      return { pointer: join(error.instancePath, params['additionalProperty']), message: 'is not known' }
    case 'enum':
      return { pointer: error.instancePath, message: `must be one of ${JSON.stringify(params['allowedValues'])}` }
    case 'const':
      return { pointer: error.instancePath, message: `must be ${JSON.stringify(params['allowedValue'])}` }
    default:
      return { pointer: error.instancePath, message: error.message ?? `breaks ${error.keyword}` }
  }
}

const join = (path: string, name: unknown): string =>
  `${path}/${String(name).replaceAll('~', '~0').replaceAll('/', '~1')}`
