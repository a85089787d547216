import { Ajv2020 } from 'ajv/dist/2020.js'
import type { ErrorObject, ValidateFunction } from 'ajv'
import addFormats from 'ajv-formats'
import { canonical } from './canonical.ts'
import { compileRegex } from './linear-regex.ts'

export type SchemaCheck = (value: unknown) => readonly string[]

/**
 * Compiles a JSON schema (2020-12) that somebody else has written. What it gives answers the faults of a value, none when it fits. Values come from
 * agents, so patterns are linear and unique items are found by their text and not by comparing each with all.
 *
 * @throws {SchemaError} for what is no schema, a keyword that nobody knows, or a reference to somewhere else
 */
export function compileSchema(schema: object): SchemaCheck {
  const ajv = createAjv()
  let validate: ValidateFunction
  try {
    validate = ajv.compile(schema)
  } catch (error) {
    throw new SchemaError(error instanceof Error ? error.message : String(error))
  }
  return (value) => (validate(value) ? [] : (validate.errors ?? []).map(describe))
}

export class SchemaError extends Error {
  override readonly name = 'SchemaError'
}

function createAjv(): Ajv2020 {
  const ajv = new Ajv2020({
    strictTypes: false,
    strictRequired: false,
    strictTuples: false,
    validateFormats: true,
    logger: false,
    code: { regExp: linearEngine },
  })
  addFormats.default(ajv)
  ajv.removeKeyword('uniqueItems')
  ajv.addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    validate: (isOn: boolean, items: readonly unknown[]) =>
      !isOn || new Set(items.map(canonical)).size === items.length,
  })
  return ajv
}

/** Ajv tells patterns apart by their text. */
const linearEngine = Object.assign(
  (pattern: string) => {
    const { test } = compileRegex(pattern)
    return { test, toString: () => `/${pattern}/` }
  },
  { code: 'linearEngine' },
)

const describe = ({ instancePath, message, params }: ErrorObject): string => {
  const { additionalProperty: extra } = params as { readonly additionalProperty?: string }
  return `${instancePath === '' ? 'it' : instancePath} ${message ?? 'does not fit'}${extra === undefined ? '' : `: ${extra}`}`
}
