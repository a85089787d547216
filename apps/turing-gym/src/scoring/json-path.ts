import { FunctionExpressionType, JSONPathEnvironment, JSONPathError } from 'json-p3'
import type { JSONPathQuery, JSONValue } from 'json-p3'
import { PatternError, compileRegex } from '@hypercode/manifest'

/** What stands at a path. A query that may give many values gives a list of them, also when there is one or none. */
export type Found = { readonly found: true; readonly value: unknown } | { readonly found: false }

export type JsonPath = (root: unknown) => Found

/**
 * Reads `files[0].path`, in which names may hold dashes, or a JSONPath query (RFC 9535) that begins with `$`.
 *
 * @throws {PathError} for anything else
 */
export function compilePath(path: string): JsonPath {
  const query = compileQuery(path)
  const isSingular = query.singularQuery()
  return (root) => {
    if (!isSingular) return { found: true, value: valuesOf(query, root) }
    const node = query.match(root as JSONValue)
    return node === undefined ? { found: false } : { found: true, value: node.value }
  }
}

export class PathError extends Error {
  override readonly name = 'PathError'
}

const SIMPLE = /^(?:[^.[\]$'"\s]+|\[\d+\])(?:\.[^.[\]$'"\s]+|\[\d+\])*$/

function compileQuery(path: string): JSONPathQuery {
  if (!path.startsWith('$') && !SIMPLE.test(path)) throw new PathError('is neither a path nor a JSONPath query')
  try {
    return environment().compile(path.startsWith('$') ? path : queryOf(path))
  } catch (error) {
    if (error instanceof PatternError) throw new PathError(error.message)
    if (!(error instanceof JSONPathError)) throw error
    throw new PathError(error.message)
  }
}

const queryOf = (path: string): string =>
  `$${path
    .split(/\.|(?=\[)/)
    .map((part) => (part.startsWith('[') ? part : `[${JSON.stringify(part)}]`))
    .join('')}`

/** Values that one query may give; an agent could store an artifact in which `$..*` finds millions. */
const VALUES_MAX = 10_000

function valuesOf(query: JSONPathQuery, root: unknown): unknown[] {
  const values: unknown[] = []
  for (const node of query.lazyQuery(root as JSONValue)) {
    if (values.length >= VALUES_MAX) break
    values.push(node.value)
  }
  return values
}

/** The functions `match` and `search` of the library use an engine that back-tracks. */
function environment(): JSONPathEnvironment {
  const made = new JSONPathEnvironment()
  const linear = (isMatch: (pattern: string, text: string) => boolean) => ({
    argTypes: [FunctionExpressionType.ValueType, FunctionExpressionType.ValueType],
    returnType: FunctionExpressionType.LogicalType,
    call: (text: unknown, pattern: unknown) =>
      typeof text === 'string' && typeof pattern === 'string' && isMatch(pattern, text),
  })
  made.functionRegister.set(
    'match',
    linear((pattern, text) => compileRegex(pattern).isWhole(text)),
  )
  made.functionRegister.set(
    'search',
    linear((pattern, text) => compileRegex(pattern).test(text)),
  )
  return made
}
