import type { Fault } from '@hypercode/contracts'
import type { ErrorObject } from 'ajv'

/** An answer that lists more helps nobody. */
const FAULTS_MAX = 50

/** Ajv's errors in plain words. Names of unknown properties are told; values that were sent never are. */
export function faultsOf(errors: readonly ErrorObject[]): Fault[] {
  const faults = errors.slice(0, FAULTS_MAX).map((error) => ({ pointer: pointerOf(error), message: messageOf(error) }))
  const rest = errors.length - FAULTS_MAX
  return rest > 0 ? [...faults, { pointer: '', message: `and ${rest} more` }] : faults
}

function pointerOf({ keyword, instancePath, params }: ErrorObject): string {
  if (keyword === 'required') return `${instancePath}/${escaped(params['missingProperty'])}`
  if (keyword === 'additionalProperties') return `${instancePath}/${escaped(params['additionalProperty'])}`
  if (keyword === 'propertyNames') return `${instancePath}/${escaped(params['propertyName'])}`
  return instancePath
}

const escaped = (name: unknown): string => shortened(name).replaceAll('~', '~0').replaceAll('/', '~1')

const shortened = (name: unknown): string => String(name).slice(0, 100)

const TYPES: Readonly<Record<string, string>> = {
  string: 'a string',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  object: 'an object',
  array: 'a list',
  null: 'null',
}

const WORDS: Readonly<Record<string, (params: Record<string, unknown>) => string>> = {
  required: () => 'is missing',
  additionalProperties: (p) => `"${shortened(p['additionalProperty'])}" is not a property that is known here`,
  propertyNames: (p) => `"${shortened(p['propertyName'])}" is not a name that is allowed here`,
  type: (p) =>
    `must be ${[p['type']]
      .flat()
      .map((type) => TYPES[String(type)] ?? String(type))
      .join(' or ')}`,
  enum: (p) => `must be one of ${(p['allowedValues'] as readonly unknown[]).join(', ')}`,
  const: (p) => `must be ${JSON.stringify(p['allowedValue'])}`,
  minLength: (p) => `must have at least ${num(p)} characters`,
  maxLength: (p) => `must have at most ${num(p)} characters`,
  minItems: (p) => `must have at least ${num(p)} elements`,
  maxItems: (p) => `must have at most ${num(p)} elements`,
  minProperties: (p) => `must have at least ${num(p)} properties`,
  maxProperties: (p) => `must have at most ${num(p)} properties`,
  minimum: (p) => `must be at least ${num(p)}`,
  maximum: (p) => `must be at most ${num(p)}`,
  exclusiveMinimum: (p) => `must be more than ${num(p)}`,
  exclusiveMaximum: (p) => `must be less than ${num(p)}`,
  uniqueItems: (p) => `elements ${String(p['i'])} and ${String(p['j'])} are the same`,
  format: (p) => `must be a ${String(p['format'])}`,
  anyOf: () => 'fits none of the forms that are allowed here',
  oneOf: () => 'must fit exactly one of the forms that are allowed here',
}

const num = (params: Record<string, unknown>): string => Number(params['limit']).toLocaleString('en')

function messageOf({ keyword, params, message, parentSchema }: ErrorObject): string {
  if (keyword === 'pattern') {
    const description: unknown = parentSchema?.['description']
    return typeof description === 'string' ? `must be ${description}` : `must match ${String(params['pattern'])}`
  }
  return WORDS[keyword]?.(params) ?? message ?? 'is not valid'
}
