import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { ROUTES } from '@hypercode/contracts'
import { startPlatform } from '@hypercode/e2e'
import { spawnService } from '@hypercode/testkit/tools'
import { ROOT } from '../checkout.ts'
import type { FigureSpec } from './figure.ts'

const FILES = 1000
const MAX_S = 60
const AGENTS = 2

export const auditOf1000Files: FigureSpec = {
  name: 'audit-1000',
  about: `the readiness audit of a repository of ${FILES} source files, from the submit to the completed mission`,
  bar: `<= ${MAX_S} s`,
  async measure() {
    const repository = makeRepository()
    const platform = await startPlatform({ durable: true })
    const agents: { stop(): Promise<unknown> }[] = []
    try {
      const key = await platform.agentKey()
      for (let n = 1; n <= AGENTS; n += 1) {
        const env = {
          HYPERCODE_URL: platform.url,
          HYPERCODE_CLIENT_ID: key.clientId,
          HYPERCODE_CLIENT_SECRET: key.clientSecret,
          HYPERCODE_INSTANCE: `auditor-${n}`,
        }
        agents.push(await spawnService({ entry: 'apps/auditor-agent/dist/server.js', portVariable: 'AGENT_PORT', env }))
      }
      const manifest = readFileSync(path.join(ROOT, 'apps/auditor-agent/crews/readiness-audit.yaml'), 'utf8')
      const startedAt = performance.now()
      const { body: submitted } = await platform.client.call(ROUTES.submitMission, {
        body: { manifest, input: { root: repository } },
      })
      let mission = submitted
      while (mission.endedAt === undefined) {
        const answer = await platform.client.call(ROUTES.getMission, {
          params: { id: submitted.id },
          headers: { prefer: 'wait=20' },
          timeoutMs: 30_000,
        })
        mission = answer.body
        if (performance.now() - startedAt > 10 * 60_000) throw new Error('the mission has not ended within 10 minutes')
      }
      const seconds = (performance.now() - startedAt) / 1000
      if (mission.state !== 'completed')
        throw new Error(`the mission ${mission.state}: ${mission.error?.message ?? ''}`)
      const progressEvents = await countProgress(platform.client, mission.id)
      return {
        figure: Math.round(seconds * 10) / 10,
        unit: 's',
        ok: seconds <= MAX_S && progressEvents > 0,
        more: { files: FILES, progressEvents },
      }
    } finally {
      await Promise.all(agents.map(async (agent) => agent.stop()))
      await platform.stop()
      rmSync(repository, { recursive: true, force: true })
    }
  },
}

async function countProgress(client: Awaited<ReturnType<typeof startPlatform>>['client'], id: string): Promise<number> {
  let count = 0
  for await (const event of client.stream(ROUTES.watchMission, { params: { id } }))
    if (event.type === 'hypercode.task.progress.v1') count += 1
  return count
}

/** Half Python, half TypeScript, each file with routes, settings, handlers and logging of its own, as real services have them. */
function makeRepository(): string {
  const root = mkdtempSync(path.join(tmpdir(), 'hypercode-audit-'))
  for (let n = 0; n < FILES; n += 1) {
    const folder = path.join(root, `service${n % 20}`, `part${Math.floor(n / 20) % 10}`)
    mkdirSync(folder, { recursive: true })
    if (n % 2 === 0) writeFileSync(path.join(folder, `module_${n}.py`), pythonFile(n))
    else writeFileSync(path.join(folder, `module-${n}.ts`), typescriptFile(n))
  }
  return root
}

const many = (count: number, line: (n: number) => string): string =>
  Array.from({ length: count }, (_, n) => line(n)).join('\n')

const pythonFile = (n: number): string => `import logging, os
from fastapi import APIRouter, Depends
from .security import current_user

router = APIRouter(prefix="/thing${n}")
logger = logging.getLogger(__name__)
TIMEOUT_S = int(os.getenv("TIMEOUT_S", "5"))

${many(
  12,
  (i) => `@router.${i % 2 === 0 ? 'get' : 'post'}("/item${i}")
async def handler_${i}(item_id: int, user=Depends(current_user)):
    try:
        value = await load_${i}(item_id)
    except KeyError as error:
        logger.warning("missing", extra={"item": item_id, "error": str(error)})
        raise
    return {"value": value, "total": sum(x * ${i + 1} for x in range(item_id))}
`,
)}
`

const typescriptFile = (n: number): string => `import type { FastifyInstance } from 'fastify'
import { requireUser } from '../security.js'

export async function routes${n}(app: FastifyInstance): Promise<void> {
  app.addHook('onRequest', requireUser)
${many(
  12,
  (i) => `  app.${i % 2 === 0 ? 'get' : 'post'}('/thing${n}/item${i}', async (request) => {
    try {
      return await load${i}(request.params)
    } catch (error) {
      request.log.warn({ err: error }, 'not loaded')
      throw error
    }
  })`,
)}
}
${many(
  12,
  (i) => `async function load${i}(params: unknown): Promise<{ total: number }> {
  return { total: Object.keys(params as object).length * ${i} }
}`,
)}
`
