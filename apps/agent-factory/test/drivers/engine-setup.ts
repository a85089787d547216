/** A real engine, where there is one: `DOCKER_HOST`, or the usual sockets of Docker and podman. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, copyFile, mkdir, mkdtemp, realpath, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { connectEngine } from '../../src/drivers/docker/engine.ts'
import { AGENT } from './setup.ts'

const run = promisify(execFile)
const SOCKETS = [
  '/var/run/docker.sock',
  '/run/podman/podman.sock',
  `/run/user/${process.getuid?.()}/podman/podman.sock`,
]

export async function findEngine(): Promise<string | undefined> {
  const named = process.env['DOCKER_HOST']
  if (named !== undefined && named !== '') return named
  for (const socket of SOCKETS) if (await answers(socket)) return `unix://${socket}`
  return undefined
}

/**
 * An image with nothing in it but this Node, the libraries that it needs, and the agent of the tests: no registry is
 * needed to make it.
 */
export async function buildImage(url: string): Promise<{ name: string; remove(): Promise<void> }> {
  const { docker } = connectEngine(url)
  const root = await mkdtemp(path.join(tmpdir(), 'hypercode-image-'))
  try {
    const { stdout } = await run('/usr/bin/ldd', [process.execPath])
    const libraries = [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, file]) => file ?? '')
    for (const file of libraries) await copy(file, path.join(root, file))
    await copy(process.execPath, path.join(root, '/usr/bin/node'))
    await copy(AGENT, path.join(root, '/agent/agent.ts'))
    await mkdir(path.join(root, 'tmp'))
    await chmod(path.join(root, 'tmp'), 0o1777)
    const tar = spawn('tar', ['-C', root, '-c', '.'], { stdio: ['ignore', 'pipe', 'inherit'] })
    const name = 'localhost/hypercode-driver-test:latest'
    const changes = 'ENTRYPOINT ["/usr/bin/node", "/agent/agent.ts"]'
    const answer = await docker.importImage(tar.stdout, {
      repo: 'localhost/hypercode-driver-test',
      tag: 'latest',
      changes,
    })
    answer.resume()
    await once(answer, 'end')
    return { name, remove: async () => void (await docker.getImage(name).remove({ force: true })) }
  } finally {
    await rm(root, { recursive: true })
  }
}

async function copy(from: string, to: string): Promise<void> {
  await mkdir(path.dirname(to), { recursive: true })
  await copyFile(await realpath(from), to)
}

async function answers(socketPath: string): Promise<boolean> {
  return await new Promise((resolve) => {
    request({ socketPath, path: '/_ping', timeout: 2000 }, (answer) => {
      answer.resume()
      resolve(answer.statusCode === 200)
    })
      .on('timeout', () => resolve(false))
      .on('error', () => resolve(false))
      .end()
  })
}
