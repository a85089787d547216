/** The parts of the Docker API that the driver uses, over real HTTP. What runs inside is what the test says. */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'

export interface Spec {
  readonly Image: string
  readonly Cmd?: readonly string[]
  readonly Env: readonly string[]
  readonly Labels: Readonly<Record<string, string>>
  readonly User: string
  readonly HostConfig: Readonly<Record<string, unknown>>
}

export interface ScriptedContainer {
  readonly name: string
  readonly spec: Spec
  status: 'created' | 'running' | 'exited'
  exitCode: number
  oomKilled: boolean
  /** Text of each stream, with times as the engine writes them. */
  frames: { stream: 1 | 2; text: string }[]
  archive: Buffer | undefined
}

export interface ScriptedDocker {
  readonly url: string
  readonly containers: Map<string, ScriptedContainer>
  readonly images: Set<string>
  /** Images that a registry would give. */
  readonly registry: Set<string>
  /** `METHOD path`, without the query. */
  readonly requests: string[]
  /** Answers this status to the next request whose `METHOD path` holds `part`. */
  failNext(part: string, status: number): void
  close(): Promise<void>
}

const ID = 'f'.repeat(64)
const NEVER = '0001-01-01T00:00:00Z'
export const CREATED_AT = '2026-01-02T03:04:05.250000000Z'

export async function startScriptedDocker(): Promise<ScriptedDocker> {
  const containers = new Map<string, ScriptedContainer>()
  const [images, registry] = [new Set<string>(), new Set<string>()]
  const requests: string[] = []
  const failures: { part: string; status: number }[] = []
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://engine')
    const line = `${request.method} ${decodeURIComponent(url.pathname)}`
    requests.push(line)
    const failure = failures.findIndex(({ part }) => line.includes(part))
    if (failure !== -1)
      return answer(response, failures.splice(failure, 1)[0]?.status ?? 500, { message: 'as scripted' })
    serve({ request, response, url, line }, { containers, images, registry }).catch((error: unknown) =>
      answer(response, 500, { message: String(error) }),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`,
    containers,
    images,
    registry,
    requests,
    failNext: (part, status) => failures.push({ part, status }),
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

interface Call {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly url: URL
  readonly line: string
}

type World = Pick<ScriptedDocker, 'containers' | 'images' | 'registry'>

async function serve({ request, response, url, line }: Call, world: World): Promise<void> {
  const body = await buffer(request)
  if (line === 'POST /containers/create') return create(response, url.searchParams.get('name') ?? '', body, world)
  if (line === 'POST /images/create') return pull(response, url, world)
  if (line === 'GET /containers/json') return answer(response, 200, listOf(url, world))
  if (line.startsWith('DELETE /volumes/')) return answer(response, 404, { message: 'no such volume' })
  const [, name = '', action = ''] = /^\w+ \/containers\/([^/]+)(?:\/(.*))?$/.exec(line) ?? []
  const container = world.containers.get(name)
  if (container === undefined) return answer(response, 404, { message: `no such container: ${name}` })
  switch (`${request.method} ${action}`) {
    case 'GET json':
      return answer(response, 200, infoOf(container))
    case 'PUT archive':
      container.archive = body
      return answer(response, 200)
    case 'POST start':
      if (container.status === 'running') return answer(response, 304)
      container.status = 'running'
      return answer(response, 204)
    case 'POST stop':
    case 'POST kill':
      if (container.status !== 'running')
        return answer(response, action === 'stop' ? 304 : 409, { message: 'not running' })
      Object.assign(container, { status: 'exited', exitCode: action === 'stop' ? 143 : 137 })
      return answer(response, 204)
    case 'POST wait':
      return answer(response, 200, { StatusCode: container.exitCode })
    case 'GET logs':
      return void response.writeHead(200).end(framesOf(container, Number(url.searchParams.get('since'))))
    case 'DELETE ':
      if (container.status === 'running') return answer(response, 409, { message: 'stop it first' })
      world.containers.delete(name)
      return answer(response, 204)
    default:
      return answer(response, 501, { message: line })
  }
}

function create(response: ServerResponse, name: string, body: Buffer, { containers, images }: World): void {
  const spec = JSON.parse(body.toString()) as Spec
  if (containers.has(name)) return answer(response, 409, { message: 'name in use' })
  if (!images.has(spec.Image)) return answer(response, 404, { message: `no such image: ${spec.Image}` })
  containers.set(name, { name, spec, status: 'created', exitCode: 0, oomKilled: false, frames: [], archive: undefined })
  answer(response, 201, { Id: ID })
}

function pull(response: ServerResponse, url: URL, { images, registry }: World): void {
  const tag = url.searchParams.get('tag')
  const image = `${url.searchParams.get('fromImage')}${tag === null || tag === '' ? '' : `:${tag}`}`
  if (!registry.has(image)) return answer(response, 404, { message: `pull access denied for ${image}` })
  images.add(image)
  answer(response, 200, { status: 'Downloaded' })
}

function listOf(url: URL, { containers }: World): unknown {
  const { label } = JSON.parse(url.searchParams.get('filters') ?? '{}') as { label: string[] }
  const found = [...containers.values()].filter(({ spec }) => label.every((each) => holds(spec.Labels, each)))
  return found.map(({ spec, status }) => ({ Id: ID, Labels: spec.Labels, State: status }))
}

function holds(labels: Readonly<Record<string, string>>, label: string): boolean {
  const [name = '', value] = label.split('=')
  return labels[name] === value
}

function infoOf({ name, spec, status, exitCode, oomKilled }: ScriptedContainer): unknown {
  return {
    Id: ID,
    Name: `/${name}`,
    Created: CREATED_AT,
    Config: { Labels: spec.Labels },
    State: {
      Status: status,
      Running: status === 'running',
      Restarting: false,
      OOMKilled: oomKilled,
      ExitCode: exitCode,
      StartedAt: status === 'created' ? NEVER : CREATED_AT,
      FinishedAt: status === 'exited' ? '2026-01-02T03:05:00Z' : NEVER,
    },
  }
}

function framesOf({ frames }: ScriptedContainer, since: number): Buffer {
  const wanted = frames.filter(({ text }) => Date.parse(text.split(' ')[0] ?? '') / 1000 >= since)
  return Buffer.concat(
    wanted.map(({ stream, text }) => {
      const content = Buffer.from(text)
      const header = Buffer.from([stream, 0, 0, 0, 0, 0, 0, 0])
      header.writeUInt32BE(content.length, 4)
      return Buffer.concat([header, content])
    }),
  )
}

function answer(response: ServerResponse, status: number, body?: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(body === undefined ? '' : JSON.stringify(body))
}
