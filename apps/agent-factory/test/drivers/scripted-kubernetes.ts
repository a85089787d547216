/** The parts of the Kubernetes API that the driver uses, over real HTTP. What the nodes do is what the test says. */
import { createServer } from 'node:http'
import type { ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { V1Pod, V1Secret } from '@kubernetes/client-node'

export interface ScriptedKubernetes {
  readonly url: string
  readonly pods: Map<string, V1Pod>
  readonly secrets: Map<string, V1Secret>
  /** Lines of each pod, with times as nodes write them. */
  readonly logs: Map<string, string[]>
  /** `METHOD path?query`. */
  readonly requests: string[]
  readonly tokens: Set<string>
  /** Answers this status to the next request that holds `part`. */
  failNext(part: string, status: number): void
  /** Pods stay until then when they are deleted; by default they go at once. */
  readonly held: Set<string>
  close(): Promise<void>
}

type World = Pick<ScriptedKubernetes, 'pods' | 'secrets' | 'logs' | 'held'>
type Answer = readonly [status: number, body: unknown]

export async function startScriptedKubernetes(): Promise<ScriptedKubernetes> {
  const world: World = { pods: new Map(), secrets: new Map(), logs: new Map(), held: new Set() }
  const [requests, tokens] = [new Array<string>(), new Set<string>()]
  const failures: { part: string; status: number }[] = []
  const server = createServer((request, response) => {
    const line = `${request.method} ${decodeURIComponent(request.url ?? '')}`
    requests.push(line)
    tokens.add(request.headers.authorization ?? '')
    const failure = failures.findIndex(({ part }) => line.includes(part))
    const scripted = failure === -1 ? undefined : failures.splice(failure, 1)[0]
    text(request)
      .then((body) =>
        send(response, scripted === undefined ? answerTo(line, body, world) : refusal(scripted.status, 'as scripted')),
      )
      .catch((error: unknown) => send(response, refusal(500, String(error))))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    ...world,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    tokens,
    failNext: (part, status) => failures.push({ part, status }),
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function answerTo(line: string, body: string, world: World): Answer {
  const [, method = '', kind = '', name, action, query] =
    /^(\w+) \/api\/v1\/namespaces\/agents\/(pods|secrets)(?:\/([^/?]+))?(?:\/(\w+))?(?:\?(.*))?$/.exec(line) ?? []
  const asked = new URLSearchParams(query)
  if (kind === 'secrets') return answerSecret(method, name, JSON.parse(body || '{}') as V1Secret, world)
  if (method === 'POST') return createPod(JSON.parse(body) as V1Pod, world)
  if (name === undefined) return [200, listOf(asked, world)]
  const pod = world.pods.get(name)
  if (pod === undefined) return refusal(404, `pods "${name}" not found`)
  if (action === 'log') return [200, logOf(name, asked, world)]
  if (method === 'DELETE' && !world.held.has(name)) world.pods.delete(name)
  return [200, pod]
}

function createPod(pod: V1Pod, { pods }: World): Answer {
  const name = pod.metadata?.name ?? ''
  if (pods.has(name)) return refusal(409, `pods "${name}" already exists`)
  const metadata = { ...pod.metadata, uid: `uid-of-${name}`, creationTimestamp: new Date(Date.now() - 60_000) }
  const made = { ...pod, metadata, status: { phase: 'Pending' } }
  pods.set(name, made)
  return [201, made]
}

function answerSecret(method: string, name: string | undefined, secret: V1Secret, { secrets }: World): Answer {
  const known = name ?? secret.metadata?.name ?? ''
  if (method === 'POST' && secrets.has(known)) return refusal(409, `secrets "${known}" already exists`)
  secrets.set(known, secret)
  return [method === 'POST' ? 201 : 200, secret]
}

/** A page at a time, as a large cluster does. */
function listOf(asked: URLSearchParams, { pods }: World): unknown {
  const [label = '', value] = (asked.get('labelSelector') ?? '').split('=')
  const found = [...pods.values()].filter(({ metadata }) => metadata?.labels?.[label] === value)
  const start = Number(asked.get('continue') ?? 0)
  const rest = found.length > start + 1 ? { _continue: undefined, continue: `${start + 1}` } : {}
  return { kind: 'PodList', apiVersion: 'v1', metadata: rest, items: found.slice(start, start + 1) }
}

function logOf(name: string, asked: URLSearchParams, { logs }: World): string {
  const since = Date.now() - Number(asked.get('sinceSeconds') ?? 1e9) * 1000
  const lines = (logs.get(name) ?? []).filter((line) => Date.parse(line.split(' ')[0] ?? '') >= since)
  const bare = asked.get('timestamps') === 'true' ? lines : lines.map((line) => line.slice(line.indexOf(' ') + 1))
  return bare.map((line) => `${line}\n`).join('')
}

const refusal = (code: number, message: string): Answer => [code, { kind: 'Status', status: 'Failure', code, message }]

function send(response: ServerResponse, [status, body]: Answer): void {
  const plain = typeof body === 'string'
  response.writeHead(status, { 'content-type': plain ? 'text/plain' : 'application/json' })
  response.end(plain ? body : JSON.stringify(body))
}
