import type { ErrorObject } from 'ajv'

/**
 * A value that fits none of several shapes breaks rules of all of them. Its author meant one: of every `anyOf` only the errors of the
 * branch that fits best are kept, and of branches that fit equally badly none, but the word that none of them fits. Branches that are told
 * apart by a word, which is none of theirs, are one fault of that word.
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
  const inBranches = [...branches.values()].flat()
  const unknown = unknownWord([...branches.values()], choice)
  if (unknown !== undefined)
    return [...errors.filter((error) => error !== choice && !inBranches.includes(error)), unknown]
  const isClear = second === undefined || distance(best, choice) < distance(second, choice)
  const dropped = new Set(inBranches.filter((error) => !isClear || !best.includes(error)))
  if (isClear) dropped.add(choice)
  return errors.filter((error) => !dropped.has(error))
}

/** What every branch says about the same word, as one error; undefined when they do not. */
function unknownWord(branches: readonly ErrorObject[][], choice: ErrorObject): ErrorObject | undefined {
  const words = branches.map((errors) =>
    errors.find((error) => error.keyword === 'const' && depthOf(error, choice) === 1),
  )
  const [first] = words
  if (first === undefined || !words.every((word) => word?.instancePath === first.instancePath)) return undefined
  const allowedValues = words.map((word): unknown => (word as ErrorObject<'const'>).params['allowedValue'])
  return { ...first, keyword: 'enum', params: { allowedValues } }
}

const depthOf = (error: ErrorObject, { instancePath }: ErrorObject): number =>
  error.instancePath.slice(instancePath.length).split('/').length - 1

/** The number of the branch that the error comes from; undefined for an error outside of the choice. */
function branchOf(error: ErrorObject, choice: ErrorObject): string | undefined {
  if (error === choice || !error.schemaPath.startsWith(`${choice.schemaPath}/`)) return undefined
  const isInside =
    error.instancePath === choice.instancePath || error.instancePath.startsWith(`${choice.instancePath}/`)
  return isInside ? error.schemaPath.slice(choice.schemaPath.length + 1).split('/', 1)[0] : undefined
}

/** How far the value is from a branch: another type, or another constant, says that a different shape was meant. */
function distance(errors: readonly ErrorObject[], choice: ErrorObject): number {
  return errors.reduce((sum, error) => {
    const depth = depthOf(error, choice)
    if (depth === 0 && error.keyword === 'type') return sum + 10_000
    if (depth === 1 && error.keyword === 'const') return sum + 1000
    if (depth === 0 && (error.keyword === 'required' || error.keyword === 'additionalProperties')) return sum + 10
    return sum + 1
  }, 0)
}
