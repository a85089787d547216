import type { ContainerCreateOptions, MountSettings } from 'dockerode'
import type { DockerDriverConfig } from '../config.ts'
import { LaunchRefused } from '../driver.ts'
import type { Launch } from '../driver.ts'
import { CONTAINER_UID, SECRETS_FOLDER, annotationOf, environmentOf, hasSecrets, labelsOf, nameOf } from '../naming.ts'

const PIDS_MAX = 512
/** Given, because what engines give on their own may be more than they may give. Tasks count for all containers of a user together. */
const ULIMITS = [
  { Name: 'nofile', Soft: 16_384, Hard: 16_384 },
  { Name: 'nproc', Soft: 16_384, Hard: 16_384 },
]
/** The engine throws away what is older than the last of them. */
const LOG_FILES = { 'max-size': '4m', 'max-file': '2' }

/**
 * A container with no rights, no way to get any, and nothing to write to but a /tmp that counts as its memory.
 *
 * @throws {LaunchRefused} when the launch is not one of an image
 */
export function containerSpec(
  launch: Launch,
  config: DockerDriverConfig,
  installation: string,
): ContainerCreateOptions & { readonly name: string; readonly Image: string } {
  if (!('image' in launch.entry)) throw new LaunchRefused('the docker driver runs an image, not a module or a path')
  const uid = config.uid ?? CONTAINER_UID
  const labels = { ...labelsOf(launch, installation), ...annotationOf(launch) }
  return {
    name: nameOf(launch.launchId),
    Image: launch.entry.image,
    ...(launch.args.length > 0 && { Cmd: [...launch.args] }),
    Env: Object.entries(environmentOf(launch)).map(([name, value]) => `${name}=${value}`),
    Labels: labels,
    User: `${uid}:${uid}`,
    Tty: false,
    HostConfig: {
      Memory: launch.memoryBytes,
      MemorySwap: launch.memoryBytes, // both together: no swap
      NanoCpus: Math.round(launch.cpu * 1e9),
      PidsLimit: config.pidsMax ?? PIDS_MAX,
      Ulimits: ULIMITS,
      ReadonlyRootfs: true,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      Tmpfs: { '/tmp': `rw,nosuid,nodev,mode=1777,size=${Math.floor(launch.memoryBytes / 4)}` },
      RestartPolicy: { Name: 'no' },
      LogConfig: { Type: 'json-file', Config: LOG_FILES },
      ...(config.network !== undefined && { NetworkMode: config.network }),
      ...(hasSecrets(launch) && { Mounts: [secretsMount(launch, labels)] }),
    },
  }
}

/** The one place of a container with a read-only root that can be filled before it starts. The engine makes the volume with the container. */
function secretsMount(launch: Launch, labels: Record<string, string>): MountSettings {
  return {
    Type: 'volume',
    Source: nameOf(launch.launchId),
    Target: SECRETS_FOLDER,
    VolumeOptions: { NoCopy: true, Labels: labels, DriverConfig: { Name: 'local', Options: {} } },
  }
}
