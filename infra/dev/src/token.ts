import { Command, CommanderError } from 'commander'
import { readCredentials, requestToken } from './credentials.ts'
import { readState } from './state-file.ts'
import { EXIT_USAGE } from './user-error.ts'

// `npm run -s token -- --scope "agent:read mission:write"`: an access token of the local platform, and nothing else, on stdout.
const command = new Command('npm run -s token --')
  .description('Prints an access token of the local platform.')
  .option('--scope <scopes>', 'scopes separated by blanks; all that the first client has when left out')
  .allowExcessArguments(false)
  .exitOverride()
try {
  command.parse(process.argv.slice(2), { from: 'user' })
} catch (error) {
  if (!(error instanceof CommanderError)) throw error
  process.exit(error.exitCode === 0 ? 0 : EXIT_USAGE)
}
const { scope } = command.opts<{ scope?: string }>()

const gatewayUrl = readState()?.urls['gateway']
const credentials = readCredentials()
if (gatewayUrl === undefined || credentials === undefined) giveUp('HyperCode is not up here: run npm start first')
let response: Response
try {
  response = await requestToken(gatewayUrl, credentials.bootstrap, scope)
} catch {
  giveUp(`the gateway at ${gatewayUrl} does not answer: run npm start again`)
}
const body: unknown = await response.json()
const fields = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {}
const token = fields['access_token']
if (!response.ok || typeof token !== 'string') {
  const why = [fields['error_description'], fields['detail'], fields['title'], fields['error']].find(
    (text) => typeof text === 'string',
  )
  giveUp(`the gateway refused a token (${response.status}): ${String(why ?? 'no reason given')}`)
}
process.stdout.write(`${token}\n`)

function giveUp(line: string): never {
  process.stderr.write(`${line}\n`)
  process.exit(EXIT_USAGE)
}
