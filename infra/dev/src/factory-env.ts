import { mkdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { accountOf, canEnter } from '@hypercode/local-stack'
import { HYPERCODE_DIR, ROOT, serverFolders } from './checkout.ts'
import type { Env } from './local-env.ts'
import { writePrivateFile } from './private-file.ts'

export interface FactoryPlace {
  readonly gatewayUrl: string
  /** Folder that the agents have to read. */
  readonly target: string
  /** Path of a bubblewrap, for agents that run commands. */
  readonly bubblewrap: string | undefined
  readonly modelKey: string | undefined
  readonly log: (line: string) => void
}

/** What agents are told of the model and the sandbox; their blueprints ask for it by name. */
const HANDED_ON = [
  'MODEL_BASE_URL',
  'MODEL_NAME',
  'MODEL_INPUT_USD_PER_MTOK',
  'MODEL_OUTPUT_USD_PER_MTOK',
  'SANDBOX_BWRAP',
]

/** Agents whose blueprints can be spawned here as they are shipped. */
const AGENT_APPS = ['auditor-agent', 'coder-agent']

/** What the factory of this checkout is told beside its address: where its agents live, as whom, and what they may know. */
export function factoryEnv(env: Env, place: FactoryPlace): Record<string, string> {
  return {
    FACTORY_AGENT_URL: place.gatewayUrl,
    FACTORY_STOP_AGENTS: 'true',
    FACTORY_DIR: path.join(path.dirname(serverFolders().stackDir), 'factory'),
    FACTORY_ENTRY_ROOTS: path.join(ROOT, 'apps'),
    // A package finds itself by its name.
    FACTORY_MODULES_FROM: AGENT_APPS.map((app) => path.join(ROOT, 'apps', app)).join(','),
    FACTORY_ENV_FROM: HANDED_ON.join(','),
    FACTORY_SECRETS_DIR: secretsFolder(place.modelKey),
    ...(place.bubblewrap !== undefined && { SANDBOX_BWRAP: place.bubblewrap }),
    ...runAs(env, place),
  }
}

/** The key of the model as a file; gone when there is none any more. */
function secretsFolder(modelKey: string | undefined): string {
  const folder = path.join(HYPERCODE_DIR, 'secrets')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const file = path.join(folder, 'openai-api-key')
  if (modelKey === undefined) rmSync(file, { force: true })
  else writePrivateFile(file, modelKey)
  return folder
}

/** Agents of root are `nobody`, unless that keeps them from their own code or from the repository that they have to read. */
function runAs(env: Env, { target, log }: FactoryPlace): Record<string, string> {
  if (process.getuid?.() !== 0 || (env['FACTORY_RUN_AS'] ?? '') !== '') return {}
  const nobody = accountOf('nobody')
  const closed = [ROOT, target].find((folder) => nobody === undefined || !canEnter(nobody, folder))
  if (closed === undefined) return {}
  log(`the agents run as root, because no other account can enter ${closed}`)
  return { FACTORY_RUN_AS: 'root' }
}
