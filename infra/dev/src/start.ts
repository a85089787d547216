import { constants } from 'node:os'
import { writeFileSync } from 'node:fs'
import { pc } from './colors.ts'
import { createClient } from '@hypercode/client'
import { ConfigError } from '@hypercode/config'
import { FolderInUseError, MissingServersError, StackError } from '@hypercode/local-stack'
import type { StartArguments } from './arguments.ts'
import { parseStartArguments } from './arguments.ts'
import { ROOT } from './checkout.ts'
import { err, out, step } from './console.ts'
import type { GracefulEnd } from './graceful-end.ts'
import { onEnd, untilAborted } from './graceful-end.ts'
import { ensureEnvFile, readLocalEnv } from './local-env.ts'
import { ProcessEndedError } from './managed-process.ts'
import { followMission, submitAudit } from './mission.ts'
import type { AuditCrew } from './mission.ts'
import type { Platform } from './platform.ts'
import { PlatformStarter } from './platform.ts'
import { createProgress } from './progress.ts'
import { printReport, saveReport } from './report.ts'
import { readSettings } from './settings.ts'
import { UserError } from './user-error.ts'

const AUDITORS = { app: 'auditor-agent', count: 2 } as const
const CODERS = { app: 'coder-agent', count: 2 } as const

const NO_MODEL = [
  '',
  'Nothing was fixed, because no model is configured. Set these in .env or in the environment, and run it again:',
  '  MODEL_BASE_URL   any endpoint that speaks the chat protocol of OpenAI, such as https://api.openai.com/v1',
  '  MODEL_NAME       the model to ask',
  '  OPENAI_API_KEY   its key, if it wants one',
].join('\n')

let starter: PlatformStarter | undefined
const end = onEnd((signal) => {
  starter?.killNow()
  process.exit(128 + constants.signals[signal])
})

// A fault of ours must not leave everything running that we have started.
process.on('uncaughtException', (error) => {
  err(error.stack ?? error.message)
  starter?.killNow()
  process.exit(1)
})

try {
  process.exitCode = await main(parseStartArguments(process.argv.slice(2)), end)
} catch (error) {
  process.exitCode = exitCodeOf(error, end)
}
// Everything that was started is stopped; a socket that lingers must not keep us.
process.exit()

async function main(given: StartArguments, { signal, cause }: GracefulEnd): Promise<number> {
  const made = ensureEnvFile(ROOT, process.env)
  if (made !== undefined) step(made)
  const env = readLocalEnv(ROOT, process.env)
  const settings = readSettings(ROOT, env)
  const broken = new AbortController()
  const canFix = given.fix && settings.MODEL_BASE_URL !== undefined && settings.MODEL_NAME !== undefined
  const withoutSecrets = settings.OPENAI_API_KEY === undefined ? ['OPENAI_API_KEY'] : []
  starter = new PlatformStarter({
    settings,
    env,
    environment: process.env,
    fleet: canFix ? [AUDITORS, { ...CODERS, withoutSecrets }] : [AUDITORS],
    target: given.target,
    needsSandbox: canFix,
    log: step,
    onFailure: (error) => broken.abort(error),
    signal,
  })
  const platform = await starter.start()
  try {
    const over = AbortSignal.any([signal, broken.signal])
    const code = await audit(platform, given, canFix ? 'audit-and-fix' : 'readiness-audit', over)
    if (given.fix && !canFix) out(NO_MODEL)
    if (given.once || code !== 0) return code
    printUrls(platform)
    await untilAborted(over)
    broken.signal.throwIfAborted()
    return 0
  } finally {
    if (cause() !== undefined) out(`\nstopping (${cause()})`)
    await starter.stop()
    step('everything is stopped')
  }
}

/** Runs the mission, shows it and answers the exit code. */
async function audit(
  { urls, bootstrap }: Platform,
  given: StartArguments,
  crew: AuditCrew,
  signal: AbortSignal,
): Promise<number> {
  const client = createClient({
    baseUrl: urls.gateway,
    credentials: { ...bootstrap, scope: 'mission:read mission:write' },
  })
  const progress = createProgress(process.stdout)
  try {
    const id = await submitAudit(client, crew, given.target, signal)
    step(`mission ${id} audits ${given.target}`)
    const { mission } = await followMission(client, id, crew, (view) => progress.show(view), signal)
    progress.end()
    step(`mission ${mission.state}`)
    if (mission.state !== 'completed') {
      err(pc.red(`the mission ${mission.state}${mission.error === undefined ? '' : `: ${mission.error.message}`}`))
      return 1
    }
    const saved = await saveReport(client, id, signal)
    if (given.json !== undefined) writeFileSync(given.json, saved.json)
    printReport(saved)
    if (given.json !== undefined) out(`                 ${given.json}`)
    if (given.failUnder === undefined || saved.report.score >= given.failUnder) return 0
    err(pc.red(`the score of ${saved.report.score} is below ${given.failUnder}`))
    return 1
  } finally {
    progress.end()
    await client.close()
  }
}

function printUrls({ urls }: Platform): void {
  out()
  out(`${pc.bold('API')}              ${urls.gateway}   reference: ${urls.gateway}/docs`)
  out(`${pc.bold('agent-registry')}   ${urls.registry}`)
  out(`${pc.bold('orchestrator')}     ${urls.orchestrator}`)
  out(`${pc.bold('agent-factory')}    ${urls.factory}`)
  out(`${pc.bold('turing-gym')}       ${urls.gym}`)
  out(`${pc.bold('token')}            npm run -s token -- --scope "mission:read mission:write"`)
  out()
  out('Press Ctrl-C to stop.')
}

/** Says what went wrong, once and as short as it can be understood, and answers the exit code for it. */
function exitCodeOf(error: unknown, { signal, cause }: GracefulEnd): number {
  const why = cause()
  if (why !== undefined) {
    if (error !== signal.reason && !(error instanceof Error && error.name === 'AbortError'))
      err(pc.red(messageOf(error)))
    return why === 'parent gone' ? 1 : 128 + constants.signals[why]
  }
  if (error instanceof ConfigError) {
    err(error.message)
    return error.exitCode
  }
  if (error instanceof UserError) {
    if (error.exitCode !== 0) err(`npm start: ${error.message}`)
    return error.exitCode
  }
  err(pc.red(messageOf(error)))
  return error instanceof ProcessEndedError ? (error.exitCode ?? 1) || 1 : 1
}

function messageOf(error: unknown): string {
  const isForPeople =
    error instanceof StackError ||
    error instanceof MissingServersError ||
    error instanceof FolderInUseError ||
    error instanceof ProcessEndedError ||
    error instanceof UserError
  if (isForPeople) return error.message
  // The system refused a file, and its message names it: that is for a person to put right, too.
  if (
    error instanceof Error &&
    'code' in error &&
    ['EACCES', 'EPERM', 'ENOSPC', 'EROFS'].includes(String(error.code))
  ) {
    return `${error.message} (does it belong to another user?)`.replace(/^(ENOSPC.*) \(.*\)$/, '$1')
  }
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
