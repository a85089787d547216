import type { Static } from '@sinclair/typebox'
import { StringEnum } from './string-enum.ts'

/** Every scope that a token can carry. A route names the ones it needs. */
export const SCOPES = [
  'agent:read',
  'agent:write',
  'mission:read',
  'mission:write',
  'mission:cancel',
  'task:claim',
  'crew:write',
  'deadletter:write',
  'approval:decide',
  'blueprint:write',
  'blueprint:promote',
  'instance:write',
  'gym:run',
  'audit:read',
  'metrics:read',
  'token:issue',
] as const

export const Scope = StringEnum(SCOPES)
export type Scope = Static<typeof Scope>

/** What an agent needs to register, beat, claim, report and read the artifacts of its mission. */
export const AGENT_SCOPES = [
  'agent:read',
  'agent:write',
  'task:claim',
  'mission:read',
] as const satisfies readonly Scope[]
