import { Duration, plainSchema } from '@hypercode/contracts'
import type { Fault } from '@hypercode/contracts'
import type { TSchema } from '@sinclair/typebox'
import { Ajv } from 'ajv'
import type { ErrorObject } from 'ajv'
import { nearestBranches } from './nearest-branches.ts'

/** A fault whose place in the text is still to be looked up. */
export interface FaultDraft extends Fault {
  /** The key is at fault, not what it holds. */
  onKey?: true
}

/** Rules about a single word or number, or a key too many: what breaks them leaves the manifest as well built as it was. */
const LOCAL = new Set(['additionalProperties', 'pattern', 'enum', 'const', 'minimum', 'maximum'])

export type ShapeCheck = (value: unknown) => { faults: FaultDraft[]; isSound: boolean }

/** Finds faults against a schema; `isSound` when what the manifest means can be judged all the same. */
export function createShapeCheck(schema: TSchema): ShapeCheck {
  // verbose is off on purpose: an error object must not carry the data it is about.
  const validate = new Ajv({ allErrors: true, strict: false }).compile(plainSchema(schema))
  return (value) => {
    if (validate(value)) return { faults: [], isSound: true }
    const errors = validate.errors ?? []
    return {
      faults: distinct(nearestBranches(errors).map(toFault)),
      isSound: errors.every((error) => LOCAL.has(error.keyword)),
    }
  }
}

function toFault(error: ErrorObject): FaultDraft {
  const params = error.params as Record<string, unknown>
  if (error.keyword === 'additionalProperties') {
    const key = String(params['additionalProperty'])
    return {
      pointer: `${error.instancePath}/${escape(key)}`,
      message: `"${key}" is not a key here`,
      fix: 'Remove it, or correct its spelling.',
      onKey: true,
    }
  }
  if (error.keyword === 'required') {
    return { pointer: error.instancePath, message: `"${String(params['missingProperty'])}" is missing` }
  }
  if (error.keyword === 'const')
    return { pointer: error.instancePath, message: `must be ${JSON.stringify(params['allowedValue'])}` }
  if (error.keyword === 'enum')
    return {
      pointer: error.instancePath,
      message: `must be one of ${(params['allowedValues'] as unknown[]).join(', ')}`,
    }
  if (error.keyword === 'pattern' && params['pattern'] === Duration.pattern) {
    return {
      pointer: error.instancePath,
      message: 'must be a length of time',
      fix: 'Write it as 500ms, 2s, 10m, 2h or 7d.',
    }
  }
  return { pointer: error.instancePath, message: error.message ?? error.keyword }
}

const escape = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1')

const distinct = (faults: FaultDraft[]): FaultDraft[] => [
  ...new Map(faults.map((fault) => [`${fault.pointer} ${fault.message}`, fault])).values(),
]
