import { constants, accessSync, existsSync, readdirSync, realpathSync, statSync } from 'node:fs'
import path from 'node:path'
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { ROOT, fromCaller } from './checkout.ts'
import { EXIT_USAGE, UserError } from './user-error.ts'

export interface StartArguments {
  /** The repository to audit, absolute, links resolved. */
  readonly target: string
  readonly once: boolean
  /** Have what is urgent put right by patches, and audit again with them. */
  readonly fix: boolean
  /** A score below this ends with exit code 1. */
  readonly failUnder: number | undefined
  /** Where the report goes as JSON, absolute. */
  readonly json: string | undefined
}

/**
 * Reads the arguments of `npm start`.
 *
 * @throws {UserError} in one line, with exit code 2 for what is wrong and 0 after `--help`
 */
export function parseStartArguments(argv: readonly string[]): StartArguments {
  const command = new Command('npm start --')
    .description(
      'Starts HyperCode on this machine and has a crew of agents audit a repository for production readiness.',
    )
    .argument('[path]', 'the repository to audit', ROOT)
    .option(
      '--fix',
      'have agents write a patch for every urgent finding (needs a model), and audit again with the patches',
    )
    .option('--once', 'exit after the mission instead of staying up')
    .option('--fail-under <score>', 'exit with 1 when the score (0 to 100) is lower', score)
    .option('--json <file>', 'write the report to this file as JSON')
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
  try {
    command.parse([...argv], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    throw new UserError(error.message.replace(/^error: /, ''), error.exitCode === 0 ? 0 : EXIT_USAGE)
  }
  const {
    once = false,
    fix = false,
    failUnder,
    json,
  } = command.opts<{
    once?: boolean
    fix?: boolean
    failUnder?: number
    json?: string
  }>()
  const target = auditTarget(command.processedArgs[0] as string)
  return { target, once, fix, failUnder, json: json === undefined ? undefined : reportTarget(json) }
}

function score(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value) || value < 0 || value > 100) {
    throw new InvalidArgumentError('It must be a number from 0 to 100.')
  }
  return value
}

function auditTarget(given: string): string {
  if (given.trim() === '') throw new UserError('the path to audit is empty', EXIT_USAGE)
  const target = fromCaller(given)
  if (!existsSync(target)) throw new UserError(`there is no folder ${target} to audit`, EXIT_USAGE)
  if (!statSync(target).isDirectory())
    throw new UserError(`${target} is a file; the path to audit must be a folder`, EXIT_USAGE)
  let entries: string[]
  try {
    accessSync(target, constants.R_OK | constants.X_OK)
    entries = readdirSync(target)
  } catch {
    throw new UserError(`the folder ${target} cannot be read`, EXIT_USAGE)
  }
  if (entries.filter((entry) => entry !== '.git').length === 0) {
    throw new UserError(`the folder ${target} is empty: there is nothing to audit`, EXIT_USAGE)
  }
  return realpathSync(target)
}

function reportTarget(given: string): string {
  const file = fromCaller(given)
  const folder = path.dirname(file)
  if (given.trim() === '' || (existsSync(file) && statSync(file).isDirectory())) {
    throw new UserError(`--json ${file} is a folder; it must be a file`, EXIT_USAGE)
  }
  try {
    accessSync(existsSync(file) ? file : folder, constants.W_OK)
  } catch {
    throw new UserError(`--json ${file} cannot be written`, EXIT_USAGE)
  }
  return file
}
