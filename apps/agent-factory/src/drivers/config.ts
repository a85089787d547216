/** Which drivers there are, and how each of them runs what it is given. */
export interface DriversConfig {
  /** Tells what this installation runs from everything else on an engine or cluster. Letters, digits, `-`; at most 40. */
  readonly installation: string
  readonly process?: ProcessDriverConfig
  readonly docker?: DockerDriverConfig
  readonly kubernetes?: KubernetesDriverConfig
}

export interface ProcessDriverConfig {
  /** FACTORY_DIR: an absolute path, for this installation alone. Launches live below it. */
  readonly folder: string
  /** Name of this machine. Default: its host name. Replicas that share a machine and `folder` share the name. */
  readonly host?: string
  /** FACTORY_RUN_AS: user of the agents when the factory is root. Default `nobody`; `root` must be asked for. */
  readonly runAs?: string
  /** Folders from which the modules of `entry.module` are resolved, in this order. */
  readonly modulesFrom: readonly string[]
  /** Default: the conditions (`--conditions=…`) that this process was started with. */
  readonly nodeArgs?: readonly string[]
  /** What is kept of the output of one launch. Default 4 MiB. */
  readonly logBytesMax?: number
  /** `auto`: control groups where they can be written to. `off`: only what works everywhere. Default `auto`. */
  readonly cgroups?: 'auto' | 'off'
}

export interface DockerDriverConfig {
  /** FACTORY_DOCKER_HOST: `unix:///var/run/docker.sock`, `tcp://host:2375`, `http://host:2375`. */
  readonly url: string
  /** Network that containers join. Default: the engine's own. */
  readonly network?: string
  /** User and group id inside. Default 10001. */
  readonly uid?: number
  /** Processes and threads of one container. Default 512. */
  readonly pidsMax?: number
}

export interface KubernetesDriverConfig {
  /** Path of a kubeconfig. Default: the service account of the pod that the factory runs in. */
  readonly kubeconfig?: string
  readonly namespace: string
  /** User and group id inside. Default 10001. */
  readonly uid?: number
}
