import { AgentCard } from '@hypercode/contracts'
import type { Fault } from '@hypercode/contracts'
import { compileCheck } from '../schema-check.ts'
import type { Check } from '../schema-check.ts'

let check: Check | undefined

/** Everything that is wrong with a card, with JSON pointers: what its schema says, and what no schema can say. */
export function cardFaults(card: unknown): Fault[] {
  check ??= compileCheck(AgentCard)
  const faults = check(card)
  return faults.length > 0 ? faults : repeatedSkills(card as AgentCard)
}

function repeatedSkills(card: AgentCard): Fault[] {
  const first = new Map<string, number>()
  return card.skills.flatMap((skill, index) => {
    const earlier = first.get(skill.id)
    if (earlier === undefined) {
      first.set(skill.id, index)
      return []
    }
    return [{ pointer: `/skills/${index}/id`, message: `repeats the skill ${skill.id} of /skills/${earlier}` }]
  })
}
