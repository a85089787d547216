import type { DriverName } from '@hypercode/contracts'
import type { TokenKeys } from '@hypercode/http'
import type { AppOptions } from './app.ts'
import type { FactoryConfig } from './config.ts'
import type { DriversConfig } from './drivers/config.ts'
import type { Driver } from './drivers/driver.ts'
import { createEntryRoots } from './engine/entry-roots.ts'
import { createSecretsFolder } from './engine/secrets-folder.ts'

/** Longest wait for a driver to say how one process is. */
const INSPECT_TIMEOUT_MS = 5000

/** `modulesFrom` is where modules are looked for when the configuration names no folder. */
export function driversConfig(config: FactoryConfig, modulesFrom: string): DriversConfig {
  const wanted = new Set<DriverName>(config.FACTORY_DRIVERS)
  const { FACTORY_RUN_AS, FACTORY_MODULES_FROM, FACTORY_DOCKER_NETWORK, FACTORY_KUBECONFIG } = config
  return {
    installation: config.FACTORY_INSTALLATION,
    ...(wanted.has('process') && {
      process: {
        folder: config.FACTORY_DIR,
        modulesFrom: FACTORY_MODULES_FROM.length > 0 ? FACTORY_MODULES_FROM : [modulesFrom],
        ...(FACTORY_RUN_AS !== undefined && { runAs: FACTORY_RUN_AS }),
      },
    }),
    ...(wanted.has('docker') && {
      docker: {
        url: config.FACTORY_DOCKER_HOST,
        ...(FACTORY_DOCKER_NETWORK !== undefined && { network: FACTORY_DOCKER_NETWORK }),
      },
    }),
    ...(wanted.has('kubernetes') && {
      kubernetes: {
        namespace: config.FACTORY_KUBE_NAMESPACE,
        ...(FACTORY_KUBECONFIG !== undefined && { kubeconfig: FACTORY_KUBECONFIG }),
      },
    }),
  }
}

export interface Surroundings {
  readonly keys: TokenKeys
  readonly drivers: ReadonlyMap<DriverName, Driver>
  /** Variables of this process that blueprints may ask for. */
  readonly handedOn: Readonly<Record<string, string>>
}

/** What the configuration says, in the words of the app. */
export function optionsOf(config: FactoryConfig, { keys, drivers, handedOn }: Surroundings): AppOptions {
  const secrets = createSecretsFolder(config.FACTORY_SECRETS_DIR)
  const allowsPath = createEntryRoots(config.FACTORY_ENTRY_ROOTS)
  return {
    auth: { issuer: config.JWT_ISSUER, audience: config.JWT_AUDIENCE, keys },
    limits: {
      drivers: new Set(drivers.keys()),
      cpuMax: config.FACTORY_CPU_MAX,
      memoryMaxBytes: config.FACTORY_MEMORY_MAX_MI * 1024 ** 2,
      populationMax: config.FACTORY_POPULATION_MAX,
      envFrom: new Set(config.FACTORY_ENV_FROM),
      hasSecret: (name) => secrets.has(name),
      allowsPath,
    },
    launch: {
      agentUrl: config.FACTORY_AGENT_URL,
      agentDrainMs: config.FACTORY_AGENT_DRAIN_MS,
      handedOn,
      allowsPath,
      secrets,
    },
    keeper: {
      startsMax: config.FACTORY_STARTS_MAX,
      startTimeoutMs: config.FACTORY_START_TIMEOUT_MS,
      inspectTimeoutMs: INSPECT_TIMEOUT_MS,
      stopGraceMs: config.FACTORY_STOP_GRACE_MS,
    },
    secret: config.FACTORY_SECRET,
    instancesMax: config.FACTORY_INSTANCES_MAX,
    tickMs: config.FACTORY_TICK_MS,
    leaseMs: config.FACTORY_LEASE_MS,
    scaleMs: config.FACTORY_SCALE_MS,
    scaleAfterMs: config.FACTORY_SCALE_AFTER_MS,
    orphanMs: config.FACTORY_ORPHAN_MS,
    orphanGraceMs: config.FACTORY_ORPHAN_GRACE_MS,
    silenceGraceMs: config.FACTORY_SILENCE_GRACE_MS,
    hostLostMs: config.FACTORY_HOST_LOST_MS,
    logLinesMax: config.FACTORY_LOG_LINES_MAX,
    logKeepMs: config.FACTORY_LOG_KEEP_MS,
    logStreamsMax: config.FACTORY_LOG_STREAMS_MAX,
    stopAgents: config.FACTORY_STOP_AGENTS,
    trustProxy: config.TRUST_PROXY,
  }
}
