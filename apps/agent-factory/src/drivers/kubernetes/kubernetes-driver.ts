import { setTimeout as sleep } from 'node:timers/promises'
import type { CoreV1Api, V1Pod } from '@kubernetes/client-node'
import type { KubernetesDriverConfig } from '../config.ts'
import { LaunchRefused } from '../driver.ts'
import type { Driver, Handle, Launch, LogPage, Status } from '../driver.ts'
import { exitFrom, isAbort, signalIn } from '../exit-status.ts'
import { tellsOfFullHeap } from '../log-line.ts'
import { LABELS, hasSecrets, nameOf } from '../naming.ts'
import { ownershipOf } from '../ownership.ts'
import { askFrom, pageOf, parseTimedLine } from '../timed-log.ts'
import { connectCluster, statusOf, unlessRefused, withSignal } from './cluster.ts'
import { CONTAINER, podSpec, secretSpec } from './pod-spec.ts'
import { hasStarted, stateOf } from './pod-status.ts'
import type { PodEnd } from './pod-status.ts'

const ANSWER_WITHIN_MS = 10_000
/** Beyond the grace, for the node to do what it has to. */
const GONE_WITHIN_MS = 60_000
const LOOK_EVERY_MS = 250
const PAGE_PODS = 500
/** More than a node keeps of one container, unless it is configured otherwise. */
const LOG_BYTES_MAX = 16 * 1024 * 1024
/** The clocks of the factory and of a node may differ by so much. */
const CLOCKS_DIFFER_S = 30
/** Where V8's last words are looked for. */
const LAST_LINES = 50
/** Nothing at all (0) would take the pod off the list without waiting for its node to end it. */
const GRACE_MIN_S = 1

/** What its methods have in common: a pod is known by the launch that it is named after. */
interface Cluster {
  readonly api: CoreV1Api
  readonly namespace: string
}

/** Runs agents as pods of a Kubernetes cluster, one each. */
export function createKubernetesDriver(config: KubernetesDriverConfig, installation: string): Driver {
  const { api, host } = connectCluster(config)
  const cluster: Cluster = { api, namespace: config.namespace }
  const ours = ownershipOf('kubernetes', host)
  const own = (handle: Handle): string => nameOf(ours.require(handle))
  return {
    name: 'kubernetes',
    host,
    start: async (launch, signal) => {
      const pod = await findOrCreate(cluster, podSpec(launch, config, installation), signal)
      if (hasSecrets(launch)) await giveSecrets(cluster, launch, pod, installation, signal)
      return handleOf(host, pod)
    },
    inspect: async (handle) => (ours.isForeign(handle) ? { state: 'unknown' } : await inspect(cluster, own(handle))),
    list: async () => {
      const pods = await listPods(cluster, `${LABELS.installation}=${installation}`)
      return pods.filter((pod) => stateOf(pod).state !== 'ended').map((pod) => handleOf(host, pod))
    },
    stop: async (handle, graceMs) => await remove(cluster, own(handle), Math.ceil(graceMs / 1000)),
    kill: async (handle) => await remove(cluster, own(handle), GRACE_MIN_S),
    readLogs: async (handle, cursor, limit) => await readLogs(cluster, own(handle), cursor, limit),
    forget: async (handle) => {
      const pod = await find(cluster, own(handle))
      if (pod !== undefined && stateOf(pod).state !== 'ended') throw new Error(`launch ${handle.launchId} is running`)
      await remove(cluster, own(handle), GRACE_MIN_S)
    },
    close: async () => undefined,
  }
}

async function findOrCreate(cluster: Cluster, body: V1Pod, signal: AbortSignal): Promise<V1Pod> {
  const name = body.metadata?.name ?? ''
  const known = await find(cluster, name)
  if (known !== undefined) return known
  try {
    return await cluster.api.createNamespacedPod({ namespace: cluster.namespace, body }, withSignal(signal))
  } catch (error) {
    const status = statusOf(error)
    // Somebody else has made it meanwhile.
    const made = status === 409 ? await find(cluster, name) : undefined
    if (made !== undefined) return made
    if (status !== 400 && status !== 422) throw error
    throw new LaunchRefused(`the cluster refuses it: ${String(error)}`, { cause: error })
  }
}

/**
 * After the pod, to which they belong, so that no secret is ever left without one. Until they are there, its node waits.
 * Those of an earlier try are written over as long as nobody can have read them.
 */
async function giveSecrets(
  { api, namespace }: Cluster,
  launch: Launch,
  pod: V1Pod,
  installation: string,
  signal: AbortSignal,
): Promise<void> {
  if (hasStarted(pod) || stateOf(pod).state === 'ended') return
  const body = secretSpec(launch, pod, installation)
  const created = await unlessRefused([409], api.createNamespacedSecret({ namespace, body }, withSignal(signal)))
  if (created !== undefined) return
  await api.replaceNamespacedSecret({ namespace, name: nameOf(launch.launchId), body }, withSignal(signal))
}

async function inspect(cluster: Cluster, name: string): Promise<Status> {
  try {
    const pod = await find(cluster, name)
    if (pod === undefined) return { state: 'ended', exit: undefined }
    const seen = stateOf(pod)
    if (seen.state !== 'ended') return seen
    if (seen.end === undefined) return { state: 'ended', exit: undefined }
    return { state: 'ended', exit: exitFrom({ ...seen.end, heapFull: await hadFullHeap(cluster, name, seen.end) }) }
  } catch {
    // Whatever is wrong, it says nothing about the agent.
    return { state: 'unknown' }
  }
}

async function hadFullHeap({ api, namespace }: Cluster, name: string, { code }: PodEnd): Promise<boolean> {
  if (!isAbort(signalIn(code))) return false
  const asked = { namespace, name, container: CONTAINER, tailLines: LAST_LINES }
  return tellsOfFullHeap((await unlessRefused([400, 404], api.readNamespacedPodLog(asked, soon()))) ?? '')
}

async function listPods({ api, namespace }: Cluster, labelSelector: string): Promise<V1Pod[]> {
  const pods: V1Pod[] = []
  for (let next: string | undefined = ''; next !== undefined; ) {
    const page = { namespace, labelSelector, limit: PAGE_PODS, ...(next !== '' && { _continue: next }) }
    const { items, metadata } = await api.listNamespacedPod(page, soon())
    pods.push(...items)
    next = metadata?._continue === '' ? undefined : metadata?._continue
  }
  return pods
}

/** A pod cannot be ended and kept: its log and how it ended go with it. */
async function remove(cluster: Cluster, name: string, graceS: number): Promise<void> {
  const gracePeriodSeconds = Math.max(GRACE_MIN_S, graceS)
  const asked = { namespace: cluster.namespace, name, gracePeriodSeconds }
  const deadline = performance.now() + gracePeriodSeconds * 1000 + GONE_WITHIN_MS
  await unlessRefused([404], cluster.api.deleteNamespacedPod(asked, soon()))
  while ((await find(cluster, name)) !== undefined) {
    if (performance.now() > deadline) throw new Error(`the pod ${name} does not end`)
    await sleep(LOOK_EVERY_MS)
  }
}

async function readLogs(cluster: Cluster, name: string, cursor: number, limit: number): Promise<LogPage> {
  const madeAt = (await find(cluster, name))?.metadata?.creationTimestamp
  if (madeAt === undefined) return { lines: [], cursor }
  const from = askFrom(madeAt, cursor)
  const asked = {
    namespace: cluster.namespace,
    name,
    container: CONTAINER,
    timestamps: true,
    limitBytes: LOG_BYTES_MAX,
    ...(from && { sinceSeconds: Math.max(1, Math.ceil((Date.now() - from.getTime()) / 1000)) + CLOCKS_DIFFER_S }),
  }
  // Its container does not exist yet (400), or any more.
  const text = (await unlessRefused([400, 404], cluster.api.readNamespacedPodLog(asked, soon()))) ?? ''
  const lines = text.split('\n')
  // What the bound has cut off in the middle of a line comes with the next page.
  if (Buffer.byteLength(text) >= LOG_BYTES_MAX) lines.pop()
  return pageOf(
    lines.flatMap((line) => parseTimedLine(line, 'stdout') ?? []),
    madeAt,
    cursor,
    limit,
  )
}

async function find({ api, namespace }: Cluster, name: string): Promise<V1Pod | undefined> {
  return await unlessRefused([404], api.readNamespacedPod({ namespace, name }, soon()))
}

function handleOf(host: string, { metadata }: V1Pod): Handle {
  return {
    driver: 'kubernetes',
    host,
    launchId: metadata?.labels?.[LABELS.launch] ?? '',
    instanceId: metadata?.labels?.[LABELS.instance] ?? '',
    pod: metadata?.name ?? '',
  }
}

const soon = (): ReturnType<typeof withSignal> => withSignal(AbortSignal.timeout(ANSWER_WITHIN_MS))
