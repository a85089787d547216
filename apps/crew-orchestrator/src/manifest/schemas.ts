import type { CrewManifest, Fault } from '@hypercode/contracts'
import { schemaFault } from '../domain/output-schema.ts'

type ManifestTask = CrewManifest['spec']['tasks'][number]

/** Different schemas of a crew, named ones and those that stand at a task. */
export const SCHEMAS_MAX = 50
const REFERENCE = /^#\/schemas\/([A-Za-z0-9][A-Za-z0-9_-]{0,62})$/

/** The schema that outputs of a task must fit, if there is one; of a forEach task, the outputs of its elements. */
export function outputSchemaOf(manifest: CrewManifest, { output }: ManifestTask): object | undefined {
  if (output === undefined) return undefined
  const name = referenceIn(output)
  return name === undefined ? output : manifest.schemas?.[name]
}

export function schemaFaults(manifest: CrewManifest): Fault[] {
  const faults: Fault[] = []
  const inline = manifest.spec.tasks.filter(({ output }) => output !== undefined && !('schemaRef' in output))
  const named = Object.entries(manifest.schemas ?? {})
  if (named.length + new Set(inline.map(({ output }) => JSON.stringify(output))).size > SCHEMAS_MAX)
    return [{ pointer: '/spec/tasks', message: `the crew has more than ${SCHEMAS_MAX} schemas` }]
  const check = (pointer: string, schema: object): void => {
    const fault = schemaFault(schema)
    if (fault !== undefined) faults.push({ pointer, message: `is no schema for outputs: ${fault}` })
  }
  for (const [name, schema] of named) check(`/schemas/${name}`, schema)
  for (const [index, { output }] of manifest.spec.tasks.entries()) {
    if (output === undefined) continue
    const pointer = `/spec/tasks/${index}/output`
    if (!('schemaRef' in output)) check(pointer, output)
    else if (!Object.hasOwn(manifest.schemas ?? {}, referenceIn(output) ?? ''))
      faults.push({
        pointer: `${pointer}/schemaRef`,
        message: 'names no schema',
        fix: `Write #/schemas/NAME; schemas are: ${named.map(([name]) => name).join(', ') || 'none'}.`,
      })
  }
  return faults
}

/** JSON schemas have no keyword of that name. */
const referenceIn = (output: object): string | undefined =>
  'schemaRef' in output ? (REFERENCE.exec(String(output.schemaRef))?.[1] ?? '') : undefined
