import type { CrewManifest, Fault } from '@hypercode/contracts'
import { parsePath } from '../domain/references.ts'
import { MISSION_MEMBERS } from './mission-members.ts'
import { textFaults } from './texts.ts'
import { walk } from './walk.ts'

type ManifestTask = CrewManifest['spec']['tasks'][number]

/** What is known when a task is undone: itself, and its mission with the reason why it did not succeed. */
const OF_MISSION = [...MISSION_MEMBERS, 'error']
const OF_TASK = ['input', 'output', 'state']

export function compensationFaults(
  { id, compensate }: ManifestTask,
  task: string,
  memberIds: ReadonlySet<string>,
): Fault[] {
  if (compensate === undefined) return []
  const faults: Fault[] = []
  const at = `${task}/compensate`
  const { member, skill, input } = compensate
  if ((member === undefined) === (skill === undefined))
    faults.push({ pointer: at, message: 'needs either a "member" or a "skill"' })
  if (member !== undefined && !memberIds.has(member))
    faults.push({
      pointer: `${at}/member`,
      message: `there is no member "${member}"`,
      fix: `Members are: ${[...memberIds].join(', ')}.`,
    })
  walk(input, `${at}/input`, (pointer, text) =>
    faults.push(...textFaults(pointer, text, (reference) => referenceFault(reference, id))),
  )
  return faults
}

function referenceFault(reference: string, id: string): { message: string; fix?: string } | undefined {
  const path = parsePath(reference)
  const written = `\${${reference}}`
  if (path === undefined) return { message: `${written} is not a path` }
  const [root, name, member] = path
  if (root === 'mission' && OF_MISSION.includes(name ?? '')) return undefined
  if (root === 'tasks' && name === id && OF_TASK.includes(member ?? '')) return undefined
  return {
    message: `${written} is not known when "${id}" is undone`,
    fix: `Paths begin with ${OF_TASK.map((one) => `tasks.${id}.${one}`).join(', ')}, or mission with ${OF_MISSION.join(', ')}.`,
  }
}
