import path from 'node:path'
import { HYPERCODE_DIR } from './checkout.ts'
import type { Env } from './local-env.ts'
import { readJsonFile } from './private-file.ts'
import type { ServicePorts } from './service-env.ts'
import { identify } from '@hypercode/local-stack'
import type { ProcessIdentity } from '@hypercode/local-stack'

/** What `dev-infra` writes when its servers are up and `dev-app` waits for. It holds secrets: mode 0600. */
export interface DevEnvironment {
  /** The infrastructure process; when it is gone, the file is of an earlier run. */
  readonly owner: ProcessIdentity
  readonly env: Readonly<Record<string, string>>
  readonly ports: ServicePorts
}

export const DEV_ENVIRONMENT_FILE = path.join(HYPERCODE_DIR, 'dev-env.json')

/** The environment of the infrastructure that is up now; undefined when none is. */
export function readDevEnvironment(): DevEnvironment | undefined {
  const value = readJsonFile(DEV_ENVIRONMENT_FILE)
  if (typeof value !== 'object' || value === null || !('owner' in value)) return undefined
  const found = value as DevEnvironment // only we write it, and its mode keeps others out
  return identify(found.owner.pid)?.startTime === found.owner.startTime ? found : undefined
}

/** Variables as a child process takes them: those that are set. */
export function definedOnly(env: Env): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined))
}
