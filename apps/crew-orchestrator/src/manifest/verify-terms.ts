import { VERIFY_COMMAND_SKILL } from '@hypercode/contracts'
import type { CrewManifest, Fault, ManifestVerify } from '@hypercode/contracts'
import { termsFault } from '../domain/approvals.ts'
import { parsePath, referencesIn } from '../domain/references.ts'
import type { Verify } from '../domain/verify-terms.ts'
import { approvalOf } from './approval-terms.ts'
import { MISSION_MEMBERS } from './mission-members.ts'
import { resolveSchema, schemaOfVerify } from './schemas.ts'
import { walk } from './walk.ts'

/** Outputs that may be refused before the task has failed, when the manifest does not say. */
const MAX_ROUNDS = 3

/** What the manifest says about the verification of a task, with what it leaves out. */
export function verifyOf(manifest: CrewManifest, taskId: string, verify: ManifestVerify): Verify {
  const maxRounds = verify.maxRounds ?? MAX_ROUNDS
  switch (verify.kind) {
    case 'schema':
      return { kind: 'schema', maxRounds, schema: resolveSchema(manifest, schemaOfVerify(verify) ?? {}) ?? {} }
    case 'agent': {
      const { kind, skill, input } = verify
      return { kind, maxRounds, skill, ...(input === undefined ? {} : { input }) }
    }
    case 'command':
      return { kind: 'command', maxRounds, skill: verify.skill ?? VERIFY_COMMAND_SKILL, command: verify.command }
    case 'human':
      return { kind: 'human', maxRounds, terms: termsOf(taskId, verify) }
  }
}

const termsOf = (taskId: string, verify: Extract<ManifestVerify, { kind: 'human' }>): ReturnType<typeof approvalOf> =>
  approvalOf(taskId, { ...verify, title: verify.title ?? `Accept the output of ${taskId}?` })

/** Faults of a verification that its schema cannot say. `at` is where it stands. */
export function verifyFaults(taskId: string, verify: ManifestVerify, at: string): Fault[] {
  if (verify.kind === 'schema' && (verify.schema === undefined) === (verify.schemaRef === undefined))
    return [{ pointer: at, message: 'needs exactly one of "schema" and "schemaRef"' }]
  if (verify.kind === 'human') {
    const message = termsFault(termsOf(taskId, verify))
    return message === undefined ? [] : [{ pointer: at, message }]
  }
  if (verify.kind !== 'agent') return []
  const faults: Fault[] = []
  walk(verify.input, `${at}/input`, (pointer, text) => {
    if (text.replace(/\$\{[^{}]*\}/g, '').includes('${')) faults.push({ pointer, message: 'a "${" has no end' })
    for (const reference of referencesIn(text)) {
      const message = referenceFault(reference)
      if (message !== undefined) faults.push({ pointer, message })
    }
  })
  return faults
}

/** Members of `task` in the input of who verifies. */
const TASK_MEMBERS = ['key', 'input', 'output', 'round']

function referenceFault(reference: string): string | undefined {
  const path = parsePath(reference)
  const written = `\${${reference}}`
  if (path === undefined) return `${written} is not a path`
  const [root, name = ''] = path
  if (root === 'mission')
    return MISSION_MEMBERS.includes(name) ? undefined : `${written}: a mission has ${MISSION_MEMBERS.join(', ')}`
  if (root !== 'task') return `${written}: who verifies sees "mission" and "task"`
  return TASK_MEMBERS.includes(name) ? undefined : `${written}: the task has ${TASK_MEMBERS.join(', ')}`
}
