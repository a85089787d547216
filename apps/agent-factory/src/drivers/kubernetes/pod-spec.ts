import type { V1Pod, V1Secret, V1SecurityContext, V1Volume, V1VolumeMount } from '@kubernetes/client-node'
import type { KubernetesDriverConfig } from '../config.ts'
import { LaunchRefused } from '../driver.ts'
import type { Launch } from '../driver.ts'
import { CONTAINER_UID, SECRETS_FOLDER, annotationOf, environmentOf, hasSecrets, labelsOf, nameOf } from '../naming.ts'

export const CONTAINER = 'agent'

const NO_RIGHTS: V1SecurityContext = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  capabilities: { drop: ['ALL'] },
}
/** The owner; Kubernetes adds the group of the pod. */
const SECRET_MODE = 0o400

/**
 * A pod with no rights in the cluster or on its node, that is never started again by anybody but the factory.
 *
 * @throws {LaunchRefused} when the launch is not one of an image
 */
export function podSpec(launch: Launch, config: KubernetesDriverConfig, installation: string): V1Pod {
  if (!('image' in launch.entry)) throw new LaunchRefused('the kubernetes driver runs an image, not a module or a path')
  const uid = config.uid ?? CONTAINER_UID
  const amounts = { cpu: `${Math.round(launch.cpu * 1000)}m`, memory: `${launch.memoryBytes}` }
  const { volumes, mounts } = storage(launch)
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: nameOf(launch.launchId),
      namespace: config.namespace,
      labels: labelsOf(launch, installation),
      annotations: annotationOf(launch),
    },
    spec: {
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: uid,
        runAsGroup: uid,
        fsGroup: uid,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      volumes,
      containers: [
        {
          name: CONTAINER,
          image: launch.entry.image,
          ...(launch.args.length > 0 && { args: launch.args.map(literal) }),
          env: Object.entries(environmentOf(launch)).map(([name, value]) => ({ name, value: literal(value) })),
          resources: { limits: amounts, requests: amounts },
          securityContext: NO_RIGHTS,
          volumeMounts: mounts,
        },
      ],
    },
  }
}

/** Goes when the pod goes: it belongs to it. */
export function secretSpec(launch: Launch, pod: V1Pod, installation: string): V1Secret {
  const { name, namespace, uid } = pod.metadata ?? {}
  if (name === undefined || namespace === undefined || uid === undefined) throw new Error('the pod has no name')
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'Opaque',
    metadata: {
      name,
      namespace,
      labels: labelsOf(launch, installation),
      ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name, uid }],
    },
    data: Object.fromEntries(
      Object.entries(launch.secrets).map(([variable, value]) => [variable, Buffer.from(value).toString('base64')]),
    ),
  }
}

function storage(launch: Launch): { volumes: V1Volume[]; mounts: V1VolumeMount[] } {
  const temporary = { name: 'tmp', emptyDir: { sizeLimit: `${Math.floor(launch.memoryBytes / 4)}` } }
  const volumes: V1Volume[] = [temporary]
  const mounts: V1VolumeMount[] = [{ name: temporary.name, mountPath: '/tmp' }]
  if (hasSecrets(launch)) {
    volumes.push({ name: 'secrets', secret: { secretName: nameOf(launch.launchId), defaultMode: SECRET_MODE } })
    mounts.push({ name: 'secrets', mountPath: SECRETS_FOLDER, readOnly: true })
  }
  return { volumes, mounts }
}

/** Kubernetes would put other variables in for `$(NAME)`. */
const literal = (value: string): string => value.replaceAll('$', '$$$$')
