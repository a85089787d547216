import type { CrewManifest, Fault, ManifestVerify } from '@hypercode/contracts'
import { schemaFault } from '../domain/output-schema.ts'

type ManifestTask = CrewManifest['spec']['tasks'][number]

/** Different schemas of a crew, named ones and those that stand at a task. */
export const SCHEMAS_MAX = 50
const REFERENCE = /^#\/schemas\/([A-Za-z0-9][A-Za-z0-9_-]{0,62})$/

/** The schema that outputs of a task must fit, if there is one; of a forEach task, the outputs of its elements. */
export const outputSchemaOf = (manifest: CrewManifest, { output }: ManifestTask): object | undefined =>
  output === undefined ? undefined : resolveSchema(manifest, output)

/** A schema as it stands, or the one of the manifest that `{ schemaRef }` names. */
export function resolveSchema(manifest: CrewManifest, schema: object): object | undefined {
  const name = referenceIn(schema)
  return name === undefined ? schema : manifest.schemas?.[name]
}

export function schemaFaults(manifest: CrewManifest): Fault[] {
  const faults: Fault[] = []
  const used = manifest.spec.tasks.flatMap(schemasOf)
  const inline = used.filter(({ schema }) => !('schemaRef' in schema))
  const named = Object.entries(manifest.schemas ?? {})
  if (named.length + new Set(inline.map(({ schema }) => JSON.stringify(schema))).size > SCHEMAS_MAX)
    return [{ pointer: '/spec/tasks', message: `the crew has more than ${SCHEMAS_MAX} schemas` }]
  const check = (pointer: string, schema: object): void => {
    const fault = schemaFault(schema)
    if (fault !== undefined) faults.push({ pointer, message: `is no schema for outputs: ${fault}` })
  }
  for (const [name, schema] of named) check(`/schemas/${name}`, schema)
  for (const { at, schema } of used) {
    if (!('schemaRef' in schema)) check(at, schema)
    else if (!Object.hasOwn(manifest.schemas ?? {}, referenceIn(schema) ?? ''))
      faults.push({
        pointer: `${at.replace(/\/schema$/, '')}/schemaRef`,
        message: 'names no schema',
        fix: `Write #/schemas/NAME; schemas are: ${named.map(([name]) => name).join(', ') || 'none'}.`,
      })
  }
  return faults
}

/** The schemas of a task, and where they stand. */
function schemasOf({ output, verify }: ManifestTask, index: number): { at: string; schema: object }[] {
  const at = `/spec/tasks/${index}`
  const ofVerify = verify?.kind === 'schema' ? schemaOfVerify(verify) : undefined
  return [
    ...(output === undefined ? [] : [{ at: `${at}/output`, schema: output }]),
    ...(ofVerify === undefined ? [] : [{ at: `${at}/verify/schema`, schema: ofVerify }]),
  ]
}

/** As it stands, or as `{ schemaRef }`; undefined when it names none. */
export const schemaOfVerify = ({
  schema,
  schemaRef,
}: Extract<ManifestVerify, { kind: 'schema' }>): object | undefined =>
  schema ?? (schemaRef === undefined ? undefined : { schemaRef })

/** JSON schemas have no keyword of that name. */
const referenceIn = (output: object): string | undefined =>
  'schemaRef' in output ? (REFERENCE.exec(String(output.schemaRef))?.[1] ?? '') : undefined
