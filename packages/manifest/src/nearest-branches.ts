import type { ErrorObject } from 'ajv'

/**
 * A value that fits none of several shapes breaks rules of all of them. Its author meant one: of every `anyOf` only the errors of the
 * branch that fits best are kept, and of branches that fit equally badly none, but the word that none of them fits.
 */
export function nearestBranches(errors: readonly ErrorObject[]): readonly ErrorObject[] {
  const choices = errors.filter((error) => error.keyword === 'anyOf')
  // The inner choice first: its branches must be settled before those of the choice around it are compared.
  choices.sort((a, b) => b.instancePath.length - a.instancePath.length || b.schemaPath.length - a.schemaPath.length)
  return choices.reduce<readonly ErrorObject[]>(settle, errors)
}

function settle(errors: readonly ErrorObject[], choice: ErrorObject): readonly ErrorObject[] {
  const branches = new Map<string, ErrorObject[]>()
  for (const error of errors) {
    const branch = branchOf(error, choice)
    if (branch !== undefined) branches.set(branch, [...(branches.get(branch) ?? []), error])
  }
  const ranked = [...branches.values()].sort((a, b) => distance(a, choice) - distance(b, choice))
  const [best, second] = ranked
  if (best === undefined) return errors
  const isClear = second === undefined || distance(best, choice) < distance(second, choice)
  const dropped = new Set([...branches.values()].flat().filter((error) => !isClear || !best.includes(error)))
  if (isClear) dropped.add(choice)
  return errors.filter((error) => !dropped.has(error))
}

/** The number of the branch that the error comes from; undefined for an error outside of the choice. */
function branchOf(error: ErrorObject, choice: ErrorObject): string | undefined {
  if (error === choice || !error.schemaPath.startsWith(`${choice.schemaPath}/`)) return undefined
  const isInside =
    error.instancePath === choice.instancePath || error.instancePath.startsWith(`${choice.instancePath}/`)
  return isInside ? error.schemaPath.slice(choice.schemaPath.length + 1).split('/', 1)[0] : undefined
}

/** How far the value is from a branch: another type, or another constant, says that a different shape was meant. */
function distance(errors: readonly ErrorObject[], { instancePath }: ErrorObject): number {
  return errors.reduce((sum, error) => {
    const depth = error.instancePath.slice(instancePath.length).split('/').length - 1
    if (depth === 0 && error.keyword === 'type') return sum + 10_000
    if (depth === 1 && error.keyword === 'const') return sum + 1000
    if (depth === 0 && (error.keyword === 'required' || error.keyword === 'additionalProperties')) return sum + 10
    return sum + 1
  }, 0)
}
