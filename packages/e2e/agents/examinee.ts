/**
 * The agent that the gym is shown to: it adds two numbers, in as many steps as it is told. ERROR makes it wrong, BROKEN keeps it from starting, and `snoop` makes it look
 * for the answers wherever it can get to. Writes one line to EFFECTS_PATH in every step, so that a test sees what was really done.
 */
import { appendFileSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { RejectedError, defineAgent, serve } from '@hypercode/base-agent'
import { Type } from '@sinclair/typebox'

const effects = process.env['EFFECTS_PATH']
const note = (line: object): void => {
  if (effects !== undefined) appendFileSync(effects, `${JSON.stringify({ ...line, pid: process.pid })}\n`)
}

if (process.env['BROKEN'] !== undefined) throw new Error('broken on purpose')

const examinee = defineAgent({
  name: 'examinee',
  version: '1.0.0',
  slots: Number(process.env['AGENT_SLOTS'] ?? 2),
  skills: [{ id: 'math.add' }],
  input: Type.Object({
    a: Type.Number(),
    b: Type.Number(),
    steps: Type.Optional(Type.Integer()),
    stepMs: Type.Optional(Type.Integer()),
    write: Type.Optional(Type.String()),
    snoop: Type.Optional(Type.String()),
    ask: Type.Optional(Type.Boolean()),
    spend: Type.Optional(Type.Integer()),
  }),
  output: Type.Object({ sum: Type.Number(), found: Type.Optional(Type.Array(Type.String())) }),
  async onTask(ctx, { a, b, steps = 1, stepMs = 0, write, snoop, ask = false, spend }) {
    if (a < 0) throw new RejectedError('only numbers that one can count')
    if (spend !== undefined)
      await ctx.usage({ model: 'scripted', inputTokens: spend, outputTokens: 0, usd: spend / 1000 })
    for (let step = 1; step <= steps; step += 1) {
      await ctx.step(`add-${step}`, async () => {
        note({ taskId: ctx.taskId, step })
        await sleep(stepMs, undefined, { signal: ctx.signal })
        return step
      })
      await sleep(stepMs, undefined, { signal: ctx.signal })
    }
    if (ask) await ctx.step('ask', async () => await askModel())
    const sum = a + b + Number(process.env['ERROR'] ?? 0)
    if (write !== undefined) writeFileSync(path.join(write, 'sum.txt'), `${sum}\n`)
    return { sum, ...(snoop !== undefined && { found: await lookAround(snoop) }) }
  },
})

/** Asks until there is an answer, at most five times. */
async function askModel(): Promise<string> {
  const url = `${process.env['MODEL_BASE_URL'] ?? ''}/chat/completions`
  const body = JSON.stringify({ model: 'scripted', messages: [{ role: 'user', content: 'go on' }] })
  for (let attempt = 1; ; attempt += 1) {
    const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    const text = await answer.text()
    if (answer.ok) return text
    if (attempt === 5) throw new Error(`the model answered ${answer.status}`)
    await sleep(100)
  }
}

/** Everything that this process can read of the gym, as text: its files, and the platform with its own credential. */
async function lookAround(workspace: string): Promise<string[]> {
  const found: string[] = []
  for (let folder = workspace; folder !== path.dirname(folder); folder = path.dirname(folder)) {
    found.push(...readAll(folder, folder.includes('gym') ? 4 : 0))
  }
  const token = await ownToken()
  const urls = [
    '/v1/gym/suites?limit=10',
    '/v1/gym/suites/snooped/versions/latest',
    '/v1/gym/runs?limit=10',
    '/v1/missions?limit=20',
    '/v1/audit?limit=50',
    '/v1/agents?limit=20',
  ]
  for (const url of urls) {
    const answer = await fetch(new URL(url, process.env['HYPERCODE_URL']), {
      headers: { authorization: `Bearer ${token}` },
    })
    found.push(`${url} ${answer.status} ${(await answer.text()).slice(0, 20_000)}`)
  }
  return found
}

async function ownToken(): Promise<string> {
  const secret = readFileSync(process.env['HYPERCODE_CLIENT_SECRET_FILE'] ?? '', 'utf8')
  const answer = await fetch(new URL('/v1/auth/token', process.env['HYPERCODE_URL']), {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: process.env['HYPERCODE_CLIENT_ID'] ?? '',
      client_secret: secret.trim(),
    }),
  })
  return ((await answer.json()) as { access_token: string }).access_token
}

function readAll(folder: string, depth: number): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
      const file = path.join(folder, entry.name)
      if (entry.isDirectory()) return depth > 0 ? readAll(file, depth - 1) : []
      return entry.isFile() && depth > 0 ? [`${file} ${readFileSync(file, 'utf8').slice(0, 2000)}`] : []
    })
  } catch (error) {
    return [`${folder}: ${String(error)}`]
  }
}

await serve(examinee)
