/**
 * How claims write what a task needs and what an instance can do. A skill of a pool is `code.edit@gym-7`, so that nobody outside of the
 * pool has it; a blueprint version stands beside the skills, `blueprint:coder@3`. Neither can be mistaken for a plain skill, and people
 * see plain skills alone.
 */
export const claimSkill = (skill: string, pool: string | null | undefined): string =>
  pool == null ? skill : `${skill}@${pool}`

/** The skill and the pool of a `claimSkill`. */
export function parseClaimSkill(text: string): { skill: string; pool: string | undefined } {
  const [skill, pool] = text.split('@') as [string, string | undefined]
  return { skill, pool }
}

const MARK = 'blueprint:'

/** What an instance of a blueprint version has among its skills, and a task that wants one requires. */
export const blueprintMark = (name: string, version: number): string => `${MARK}${name}@${version}`

/** `coder@3` of the mark of a blueprint; undefined for a skill. */
export const blueprintOfMark = (text: string): string | undefined =>
  text.startsWith(MARK) ? text.slice(MARK.length) : undefined
