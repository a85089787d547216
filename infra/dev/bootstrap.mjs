// What `npm start`, `npm test` and the others run first. It is plain JavaScript for the Node that the machine has,
// because neither the packages nor Node 24 are there before it has installed them.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { constants } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** The commands, the program of each, and whether it needs the compiled services before it starts. */
const COMMANDS = {
  start: { program: 'start.ts', needsBuild: false }, // builds by itself, while its servers start
  test: { program: 'test.ts', needsBuild: false }, // reports a build that fails as one failed check
  token: { program: 'token.ts', needsBuild: false },
  figures: { program: 'figures/main.ts', needsBuild: true },
  bench: { program: 'bench/main.ts', needsBuild: true },
  'bench:peers': { program: 'bench/peers.ts', needsBuild: true },
  sim: { program: '../../../apps/crew-orchestrator/sim/cli.ts', needsBuild: false }, // runs on the sources, which its mutants change as they are loaded
  chaos: { program: 'chaos.ts', needsBuild: true },
}
const OLDEST_NODE = 18
// A broken set-up is neither a pass nor a result that fell short.
const EXIT_BROKEN = 2

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..')
const [name = '', ...args] = process.argv.slice(2)
const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
if (command === undefined) giveUp(`usage: node infra/dev/bootstrap.mjs ${Object.keys(COMMANDS).join('|')} [arguments]`)
if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
  giveUp(`Node ${OLDEST_NODE} or newer is needed for the set-up, this is ${process.version}: see https://nodejs.org`)
}
// Paths that a person gives are relative to where they stand, not to where npm runs its scripts.
process.env.INIT_CWD ??= process.cwd()
process.chdir(root)
Object.assign(process.env, { TURBO_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1' })
install()
process.env.PATH = `${path.join(root, 'node_modules/.bin')}${path.delimiter}${process.env.PATH ?? ''}`
if (command.needsBuild) build()
handOver(command.program)

/** Installs what the lockfile says; a fraction of a second when it is all there. */
function install() {
  const { packageManager } = JSON.parse(readFileSync('package.json', 'utf8'))
  const [, version] = packageManager.split('@')
  const local = path.join(root, 'node_modules/.bin/pnpm')
  const isThere = existsSync(local) && installedVersion() === version
  if (!isThere) note(`installing packages with ${packageManager} (once, about 20 s)`)
  const env = { ...process.env, CI: 'true', npm_config_loglevel: 'error', npm_config_update_notifier: 'false' }
  const words = ['install', '--frozen-lockfile', '--reporter=append-only']
  const run = (program, list) => spawnSync(program, list, { encoding: 'utf8', env, maxBuffer: 1 << 26 })
  const result = isThere ? run(local, words) : run('npx', ['--yes', packageManager, ...words])
  if (result.status === 0) return
  process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`)
  const why = result.error === undefined ? `exit ${result.status ?? result.signal}` : result.error.message
  giveUp(
    `installing the packages failed (${why}): is the npm registry reachable, and does pnpm-lock.yaml fit package.json?`,
  )
}

function installedVersion() {
  const file = path.join(root, 'node_modules/pnpm/package.json')
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).version : undefined
}

function build() {
  const tsc = spawnSync('tsc', ['-b'], { encoding: 'utf8' })
  if (tsc.status === 0) return
  process.stderr.write(`${tsc.stdout ?? ''}${tsc.stderr ?? ''}`)
  giveUp('the build failed')
}

/** Runs the command on Node 24 and ends as it ends. */
function handOver(program) {
  const file = path.join(root, 'infra/dev/src', program)
  // A group of its own, so that Ctrl-C, which a terminal sends to everybody and npm sends on, arrives once and through
  // us. By the channel it notices when we are killed.
  const child = spawn(path.join(root, 'node_modules/.bin/node'), ['--conditions=@hypercode/source', file, ...args], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    detached: true,
  })
  const last = new Map()
  const forward = (signal) => {
    const now = Date.now()
    if (now - (last.get(signal) ?? 0) > 300) child.kill(signal)
    last.set(signal, now)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => forward(signal))
  // npm started us; when it is killed, nobody waits for the result and no signal of it can reach us any more.
  const parent = process.ppid
  if (process.env.npm_lifecycle_event !== undefined) {
    setInterval(() => process.ppid !== parent && forward('SIGTERM'), 500).unref()
  }
  child.once('error', (error) => giveUp(`${name} could not be started: ${error.message}`))
  child.once('exit', (code, signal) => {
    if (code !== null) process.exit(code)
    process.exit(128 + constants.signals[signal])
  })
}

function note(line) {
  process.stderr.write(`${line}\n`)
}

function giveUp(line) {
  note(line)
  process.exit(EXIT_BROKEN)
}
