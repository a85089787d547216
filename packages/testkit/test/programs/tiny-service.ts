/** A service as small as can be, to start, question, freeze and kill. `FAIL` ends it at once; `STUBBORN` ignores SIGTERM. */
import { createServer } from 'node:http'

const say = (msg: string, fields: object = {}): void => {
  process.stdout.write(`${JSON.stringify({ level: 'info', msg, ...fields })}\n`)
}

if (process.env['FAIL'] !== undefined) {
  process.stderr.write('no: the tiny service was told to fail\n')
  process.exit(3)
}
if (process.env['STUBBORN'] !== undefined) process.on('SIGTERM', () => say('ignored SIGTERM'))

const server = createServer((request, response) => {
  say('request', { path: request.url })
  response.end(JSON.stringify({ path: request.url, greeting: process.env['GREETING'] ?? '' }))
})
server.listen(Number(process.env['TINY_PORT']), process.env['HOST'], () => say('listening', { pid: process.pid }))
