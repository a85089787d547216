import { KindGuard } from '@sinclair/typebox'
import type { Static, TObject, TSchema } from '@sinclair/typebox'
import { ConfigError } from './config-error.ts'
import type { ConfigProblem } from './config-error.ts'
import { convert } from './convert.ts'
import { exactlyOneProblems, exampleProblems, repeatProblems } from './cross-checks.ts'
import type { SecretValue } from './cross-checks.ts'
import { FIX, judgeSecret } from './judge-secret.ts'
import { secretKindOf } from './kinds.ts'
import type { SecretKind } from './kinds.ts'
import { readSecretFile } from './secret-file.ts'

/** `process.env`, or anything of its shape. */
export type Env = Readonly<Record<string, string | undefined>>

export type LoadOptions = {
  /** Groups of variables of which exactly one is set, `NAME_FILE` counting as `NAME`; make them `Type.Optional`. */
  exactlyOne?: readonly (readonly string[])[]
  /** The values that `.env.example` holds, see `readExampleValues`; a secret that still has its own is refused. */
  exampleValues?: Env
}

/**
 * Reads the variables that `schema` names out of `env` into a frozen object; all others are left out. Text becomes
 * integers, numbers, booleans and lists where the schema asks for them; a variable that is empty counts as not set. Every
 * secret can also come from a file that `NAME_FILE` names.
 *
 * @throws {ConfigError} with every problem of every variable, and never a value
 */
export function loadConfig<T extends TObject>(schema: T, env: Env, options: LoadOptions = {}): Readonly<Static<T>> {
  const problems: ConfigProblem[] = []
  const secrets: SecretValue[] = []
  const config: Record<string, unknown> = {}
  for (const [variable, property] of Object.entries(schema.properties)) {
    const kind = secretKindOf(property)
    const found = kind === undefined ? readPlain(variable, property, env) : readSecret(variable, property, kind, env)
    problems.push(...found.problems)
    if (found.value !== undefined) config[variable] = found.value
    if (found.secret !== undefined) secrets.push(found.secret)
  }
  problems.push(
    ...exactlyOneProblems(options.exactlyOne ?? [], env),
    ...repeatProblems(secrets),
    ...exampleProblems(secrets, options.exampleValues ?? {}),
  )
  if (problems.length > 0) throw new ConfigError(problems)
  return Object.freeze(config) as Readonly<Static<T>>
}

/** What one variable gave: a value, problems, and for a secret also what the cross checks compare. */
type Found = { value?: unknown; problems: readonly ConfigProblem[]; secret?: SecretValue }

function readPlain(variable: string, schema: TSchema, env: Env): Found {
  const text = env[variable] ?? ''
  if (text === '') {
    if (schema.default !== undefined) return { value: schema.default, problems: [] }
    if (KindGuard.IsOptional(schema)) return { problems: [] }
  }
  const converted = text === '' ? missing(convert(schema, '')) : convert(schema, text)
  return 'value' in converted ? { value: converted.value, problems: [] } : { problems: [{ variable, ...converted }] }
}

function missing(converted: ReturnType<typeof convert>): { problem: string; fix: string } {
  return { problem: 'is not set', fix: 'fix' in converted ? converted.fix : 'set it' }
}

function readSecret(variable: string, schema: TSchema, kind: SecretKind, env: Env): Found {
  const { text, problem } = secretText(variable, kind, env)
  if (problem !== undefined) return { problems: [problem] }
  if (text === '') {
    if (KindGuard.IsOptional(schema)) return { problems: [] }
    return { problems: [{ variable, problem: 'is not set', fix: FIX[kind] }] }
  }
  const problems = judgeSecret(text, kind).map((fault) => ({ variable, problem: fault.problem, fix: fault.fix }))
  return { value: text, problems, secret: { variable, kind, text } }
}

/** The text of a secret from the variable or from the file that `NAME_FILE` names; empty when neither is set. */
function secretText(variable: string, kind: SecretKind, env: Env): { text: string; problem?: ConfigProblem } {
  const fileVariable = `${variable}_FILE`
  const text = env[variable] ?? ''
  const path = env[fileVariable] ?? ''
  if (path === '') return { text }
  if (text !== '') {
    const problem = `is set, and so is ${fileVariable}`
    return { text: '', problem: { variable, problem, fix: `leave out ${variable} or ${fileVariable}` } }
  }
  const file = readSecretFile(path)
  if ('problem' in file) return { text: '', problem: { variable: fileVariable, ...file } }
  if (file.value === '') {
    return { text: '', problem: { variable: fileVariable, problem: 'names a file that is empty', fix: FIX[kind] } }
  }
  return { text: file.value }
}
