import { AppError, parseJsonBody } from '@hypercode/http'
import { compilePath } from './json-path.ts'
import type { Evidence } from './scorer.ts'

/** What a scorer looks at, or why there is nothing to look at. */
export type Looked = { readonly there: true; readonly value: unknown } | { readonly there: false; readonly why: string }

export interface Place {
  readonly artifact?: string
  readonly at?: string
}

/** Looks into the output of the task or into one of its artifacts, at a path of it. */
export async function lookAt(evidence: Evidence, { artifact, at }: Place): Promise<Looked> {
  const whole = artifact === undefined ? outputOf(evidence) : await artifactOf(evidence, artifact)
  if (!whole.there || at === undefined) return whole
  const found = compilePath(at)(whole.value)
  return found.found ? { there: true, value: found.value } : { there: false, why: `there is nothing at ${at}` }
}

/** The text of a value: itself, or its JSON. */
export const textOf = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? ''))

const outputOf = ({ output }: Evidence): Looked =>
  output === undefined ? { there: false, why: 'there is no output' } : { there: true, value: output }

async function artifactOf({ artifacts }: Evidence, name: string): Promise<Looked> {
  if (!artifacts.names.includes(name)) return { there: false, why: `there is no artifact ${name}` }
  const bytes = Buffer.from(await artifacts.read(name))
  if (!name.endsWith('.json')) return { there: true, value: bytes.toString('utf8') }
  try {
    return { there: true, value: parseJsonBody(bytes) }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return { there: false, why: `the artifact ${name} is not JSON: ${error.message}` }
  }
}
