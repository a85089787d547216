import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { StackError, codeOf } from './errors.ts'
import { writeFileAtomic } from './files.ts'

/** The passwords of one folder. They are made once and live as long as its data. */
export interface StackSecrets {
  readonly owner: string
  readonly app: string
  readonly pgbouncerAdmin: string
  readonly redis: string
}

const NAMES = ['owner', 'app', 'pgbouncerAdmin', 'redis'] as const

/** Reads `<dir>/secrets.json`, or writes it (mode 0600) with fresh random passwords. */
export function loadSecrets(dir: string): StackSecrets {
  const file = path.join(dir, 'secrets.json')
  const found = read(file)
  if (found !== undefined) return found
  const fresh = { owner: password(), app: password(), pgbouncerAdmin: password(), redis: password() }
  writeFileAtomic(file, JSON.stringify(fresh))
  return fresh
}

function read(file: string): StackSecrets | undefined {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
  const value = JSON.parse(text) as Partial<Record<(typeof NAMES)[number], unknown>>
  const [owner, app, pgbouncerAdmin, redis] = NAMES.map((name) => value[name])
  if (
    typeof owner === 'string' &&
    typeof app === 'string' &&
    typeof pgbouncerAdmin === 'string' &&
    typeof redis === 'string'
  ) {
    return { owner, app, pgbouncerAdmin, redis }
  }
  throw new StackError(`${file} is not ours or damaged: remove its folder to start with empty servers`)
}

// base64url: safe in URLs, in SQL literals and in the configuration files of all three servers.
function password(): string {
  return randomBytes(24).toString('base64url')
}
