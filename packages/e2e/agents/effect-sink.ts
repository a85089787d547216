/**
 * What the agents of a storm do their effects to: `SINK_PORT=… SINK_FILE=… NOTES_FILE=… node agents/effect-sink.ts`. A line is on the disk
 * before its request is answered. `/keyed` carries out an `Idempotency-Key` once, `/plain` whatever comes, `/note` only takes down.
 */
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs'
import { createServer } from 'node:http'
import type { IncomingMessage } from 'node:http'

const file = openSync(process.env['SINK_FILE'] ?? '/dev/null', 'a')
const notes = openSync(process.env['NOTES_FILE'] ?? '/dev/null', 'a')
const done = new Set<string>()

const server = createServer((request, response) => {
  take(request).then(
    (status) => response.writeHead(status).end(),
    () => response.writeHead(500).end(),
  )
})
server.listen(Number(process.env['SINK_PORT']), '127.0.0.1')
process.once('SIGTERM', () => {
  closeSync(file)
  process.exit(0)
})

async function take(request: IncomingMessage): Promise<number> {
  if (request.url === '/readyz') return 200
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { key: string }
  if (request.url === '/note') {
    writeSync(notes, `${JSON.stringify(body)}\n`)
    return 204
  }
  const sink = request.url === '/keyed' ? 'keyed' : 'plain'
  const applied = sink === 'plain' || !done.has(body.key)
  done.add(body.key)
  writeSync(file, `${JSON.stringify({ sink, ...body, atMs: Date.now(), applied })}\n`)
  fdatasyncSync(file)
  return 200
}
