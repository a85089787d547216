import type Docker from 'dockerode'
import type { ContainerInspectInfo } from 'dockerode'
import type { DockerDriverConfig } from '../config.ts'
import { LaunchRefused } from '../driver.ts'
import type { Driver, Exit, Handle, Launch, LogPage, Status } from '../driver.ts'
import { exitFrom, isAbort, signalIn } from '../exit-status.ts'
import { tellsOfFullHeap } from '../log-line.ts'
import { CONTAINER_UID, LABELS, SECRETS_FOLDER, hasSecrets, nameOf } from '../naming.ts'
import { ownershipOf } from '../ownership.ts'
import { askFrom, pageOf } from '../timed-log.ts'
import { readFrames } from './container-logs.ts'
import { containerSpec } from './container-spec.ts'
import { connectEngine, orAlready, statusOf } from './engine.ts'
import { secretArchive } from './secret-archive.ts'

const ANSWER_WITHIN_MS = 10_000
/** Beyond the grace, for the engine to do what it has to. */
const STOPPED_WITHIN_MS = 20_000
const OVER = ['exited', 'stopped', 'dead', 'removing']
/** Where V8's last words are looked for. */
const LAST_LINES = 50

/** Runs agents as containers of a Docker engine, or of anything that speaks its API. */
export function createDockerDriver(config: DockerDriverConfig, installation: string): Driver {
  const { docker, host } = connectEngine(config.url)
  const ours = ownershipOf('docker', host)
  const own = (handle: Handle): Docker.Container => docker.getContainer(nameOf(ours.require(handle)))
  return {
    name: 'docker',
    host,
    start: async (launch, signal) => {
      const info = await startContainer(docker, launch, config, installation, signal)
      return handleOf(host, info.Id, info.Config.Labels)
    },
    inspect: async (handle) => (ours.isForeign(handle) ? { state: 'unknown' } : await inspectContainer(own(handle))),
    list: async () => {
      const label = [`${LABELS.installation}=${installation}`]
      const found = await docker.listContainers({ all: true, filters: { label }, ...soon() })
      // Those that were made and not yet started are ours to end too.
      const live = found.filter(({ State }) => !OVER.includes(State))
      return live.map(({ Id, Labels }) => handleOf(host, Id, Labels))
    },
    stop: async (handle, graceMs) => {
      const within = AbortSignal.timeout(graceMs + STOPPED_WITHIN_MS)
      // The engine counts in seconds.
      await end(
        own(handle),
        async (container) => await container.stop({ t: Math.ceil(graceMs / 1000), abortSignal: within }),
      )
    },
    kill: async (handle) => {
      await end(own(handle), async (container) => await container.kill({ signal: 'SIGKILL', ...soon() }))
    },
    readLogs: async (handle, cursor, limit) => await readLogs(own(handle), cursor, limit),
    forget: async (handle) => {
      const container = own(handle)
      // Without force: the engine refuses it (409) as long as it runs.
      await orAlready([404], container.remove({ v: true, ...soon() }))
      await orAlready([404], docker.getVolume(nameOf(handle.launchId)).remove(soon()))
    },
    close: async () => undefined,
  }
}

/** A container of this name is the launch, whoever made it. One that was never started lacks only what comes after. */
async function startContainer(
  docker: Docker,
  launch: Launch,
  config: DockerDriverConfig,
  installation: string,
  signal: AbortSignal,
): Promise<ContainerInspectInfo> {
  const spec = containerSpec(launch, config, installation)
  const container = docker.getContainer(nameOf(launch.launchId))
  const abortSignal = signal
  const known = await find(container)
  if (known !== undefined && wasStarted(known)) return known
  if (known === undefined) await create(docker, spec, signal)
  if (hasSecrets(launch)) {
    const archive = secretArchive(launch.secrets, config.uid ?? CONTAINER_UID, new Date())
    await container.putArchive(archive, { path: SECRETS_FOLDER, abortSignal })
  }
  await refusing([400, 404], orAlready([304], container.start({ abortSignal })))
  return await container.inspect({ abortSignal })
}

/** That somebody else has made it meanwhile is fine. An image that the engine does not have is fetched. */
async function create(docker: Docker, spec: ReturnType<typeof containerSpec>, signal: AbortSignal): Promise<void> {
  const attempt = async (): Promise<unknown> => await docker.createContainer({ ...spec, abortSignal: signal })
  try {
    await attempt()
  } catch (error) {
    if (statusOf(error) !== 404) {
      // Docker says 409 for a name that is taken, podman 500.
      if ((await find(docker.getContainer(spec.name))) === undefined) throw error
      return
    }
    const progress = await refusing([400, 401, 403, 404], docker.pull(spec.Image, { abortSignal: signal }))
    await new Promise<void>((resolve, reject) => {
      docker.modem.followProgress(progress, (failure) => (failure === null ? resolve() : reject(failure)))
    })
    await refusing([400, 404], orAlready([409], attempt()))
  }
}

async function refusing<T>(statuses: readonly number[], work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof Error) || !statuses.includes(statusOf(error) ?? 0)) throw error
    throw new LaunchRefused(`the engine refuses it: ${error.message}`, { cause: error })
  }
}

async function inspectContainer(container: Docker.Container): Promise<Status> {
  try {
    const info = await find(container)
    if (info === undefined || !wasStarted(info)) return { state: 'ended', exit: undefined }
    if (info.State.Running || info.State.Restarting) return { state: 'running' }
    return { state: 'ended', exit: await exitOf(container, info) }
  } catch {
    // Whatever is wrong, it says nothing about the agent.
    return { state: 'unknown' }
  }
}

async function exitOf(container: Docker.Container, { State }: ContainerInspectInfo): Promise<Exit> {
  const aborted = isAbort(signalIn(State.ExitCode))
  const words = aborted ? await container.logs({ stderr: true, tail: LAST_LINES, ...soon() }) : Buffer.alloc(0)
  return exitFrom({
    code: State.ExitCode,
    outOfMemory: State.OOMKilled,
    heapFull: tellsOfFullHeap(words.toString('utf8')),
    at: new Date(State.FinishedAt),
  })
}

async function readLogs(container: Docker.Container, cursor: number, limit: number): Promise<LogPage> {
  const info = await find(container)
  if (info === undefined) return { lines: [], cursor }
  const madeAt = new Date(info.Created)
  const from = askFrom(madeAt, cursor)
  const since = from === undefined ? 0 : from.getTime() / 1000
  const answer = await container.logs({ stdout: true, stderr: true, timestamps: true, since, ...soon() })
  return pageOf(readFrames(answer), madeAt, cursor, limit)
}

async function find(container: Docker.Container): Promise<ContainerInspectInfo | undefined> {
  try {
    return await container.inspect(soon())
  } catch (error) {
    if (statusOf(error) === 404) return undefined
    throw error
  }
}

/** Docker answers 304, 404 or 409 when there is nothing to end, podman 500: what counts is that it does not run. */
async function end(container: Docker.Container, how: (container: Docker.Container) => Promise<unknown>): Promise<void> {
  try {
    await how(container)
    const abortSignal = AbortSignal.timeout(STOPPED_WITHIN_MS)
    await container.wait({ condition: 'not-running', abortSignal })
  } catch (error) {
    if (statusOf(error) === undefined || (await find(container))?.State.Running === true) throw error
  }
}

/** The engine gives a container that was never started the first day of the calendar. */
const wasStarted = ({ State }: ContainerInspectInfo): boolean => !State.StartedAt.startsWith('0001-')

function handleOf(host: string, id: string, labels: Readonly<Record<string, string>>): Handle {
  return {
    driver: 'docker',
    host,
    launchId: labels[LABELS.launch] ?? '',
    instanceId: labels[LABELS.instance] ?? '',
    container: id.slice(0, 12),
  }
}

const soon = (): { abortSignal: AbortSignal } => ({ abortSignal: AbortSignal.timeout(ANSWER_WITHIN_MS) })
