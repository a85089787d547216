/** How things of ours are named and told apart on engines and clusters, which others use too. */
import type { Launch } from './driver.ts'
import { checkLaunchId } from './ownership.ts'

export const LABELS = {
  installation: 'hypercode.installation',
  launch: 'hypercode.launch',
  instance: 'hypercode.instance',
  tenant: 'hypercode.tenant',
  blueprint: 'hypercode.blueprint',
  version: 'hypercode.version',
} as const

/** Where an agent finds its secrets inside a container. */
export const SECRETS_FOLDER = '/run/hypercode/secrets'
/** User and group inside, unless configured. */
export const CONTAINER_UID = 10_001

/** Its name is what makes a second start of a launch find the first. */
export const nameOf = (launchId: string): string => `hypercode-${checkLaunchId(launchId)}`

export function labelsOf(launch: Launch, installation: string): Record<string, string> {
  return {
    [LABELS.installation]: installation,
    [LABELS.launch]: launch.launchId,
    [LABELS.instance]: launch.instanceId,
    [LABELS.tenant]: launch.tenantId,
    [LABELS.blueprint]: launch.blueprint,
    [LABELS.version]: `${launch.version}`,
  }
}

/** The labels of the blueprint may be any text, which names and values of an engine's labels may not. */
export const annotationOf = (launch: Launch): Record<string, string> => ({
  'hypercode.labels': JSON.stringify(launch.labels),
})

export const hasSecrets = (launch: Launch): boolean => Object.keys(launch.secrets).length > 0

/** Only what the launch says, and where to find what is its own. */
export function environmentOf(launch: Launch): Record<string, string> {
  const secrets = Object.keys(launch.secrets).map((name) => [`${name}_FILE`, `${SECRETS_FOLDER}/${name}`])
  return { NODE_ENV: 'production', ...launch.env, ...Object.fromEntries(secrets), HOME: '/tmp', TMPDIR: '/tmp' }
}
