import type { Launch } from '../drivers/driver.ts'
import { LaunchRefused } from '../drivers/driver.ts'
import type { FactoryInstance } from '../domain/factory-instance.ts'
import { SecretMissing } from './secrets-folder.ts'
import type { SecretsFolder } from './secrets-folder.ts'

export interface LaunchSettings {
  /** Where agents find the platform. */
  readonly agentUrl: string
  /** How long an agent that is told to stop may finish what it has, unless its blueprint says otherwise. */
  readonly agentDrainMs: number
  /** Variables of the factory's own environment that blueprints may ask for, with their values. */
  readonly handedOn: Readonly<Record<string, string>>
  readonly allowsPath: (path: string) => boolean
  readonly secrets: SecretsFolder
}

/**
 * What the driver gets for one start. The client secret is new and stands nowhere else.
 * @throws {LaunchRefused} when a secret or the entry is no longer there
 */
export function planLaunch(
  instance: FactoryInstance,
  { launchId, clientSecret }: { launchId: string; clientSecret: string },
  settings: LaunchSettings,
): Launch {
  const { id, tenantId, blueprint, version, recipe, clientId, pool, labels } = instance
  const { entry } = recipe
  if ('path' in entry && !settings.allowsPath(entry.path)) {
    throw new LaunchRefused('The file of the entry is gone, or no longer in a folder that entries may come from.')
  }
  return {
    launchId,
    instanceId: id,
    tenantId,
    blueprint,
    version,
    entry,
    args: recipe.args,
    env: {
      DRAIN_MS: String(settings.agentDrainMs),
      ...handedOn(recipe.envFrom, settings.handedOn),
      ...recipe.env,
      ...instance.env,
      HYPERCODE_URL: settings.agentUrl,
      HYPERCODE_CLIENT_ID: clientId,
      AGENT_SLOTS: String(recipe.slots),
      AGENT_PORT: '0',
    },
    secrets: { ...readSecrets(recipe.secrets, settings.secrets), HYPERCODE_CLIENT_SECRET: clientSecret },
    cpu: recipe.cpu,
    memoryBytes: recipe.memoryBytes,
    labels: { ...labels, ...(pool !== null && { pool }) },
  }
}

function handedOn(names: readonly string[], known: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => (known[name] === undefined ? [] : [[name, known[name]]])))
}

function readSecrets(wanted: Readonly<Record<string, string>>, secrets: SecretsFolder): Record<string, string> {
  try {
    return Object.fromEntries(Object.entries(wanted).map(([variable, name]) => [variable, secrets.read(name)]))
  } catch (error) {
    if (error instanceof SecretMissing) throw new LaunchRefused(error.message)
    throw error
  }
}
