import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ProcessIdentity } from '@hypercode/local-stack'
import { signalProcess } from '@hypercode/local-stack'
import { onTestFailed, onTestFinished } from 'vitest'
import { temporaryFolder } from './temporary-folder.ts'

export interface Run {
  readonly pid: number
  readonly stdout: () => string
  readonly stderr: () => string
  /** Both, for the message of a test that fails. */
  readonly text: () => string
  readonly ended: Promise<number | null>
  kill(signal: NodeJS.Signals): void
  /** As `| head` does when it has seen enough. */
  closeOutput(): void
}

export const start = (home: string, args: readonly string[], env: Record<string, string> = {}): Run =>
  command('start.ts', home, args, env)

export function command(
  program: string,
  home: string,
  args: readonly string[] = [],
  env: Record<string, string> = {},
): Run {
  const bin = fileURLToPath(new URL('../../../node_modules/.bin', import.meta.url))
  const file = fileURLToPath(new URL(`../src/${program}`, import.meta.url))
  const child = spawn(process.execPath, ['--conditions=@hypercode/source', file, ...args], {
    env: { ...process.env, PATH: `${bin}:${process.env['PATH']}`, HYPERCODE_HOME: home, LOG_LEVEL: 'info', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const texts = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk: Buffer) => (texts.stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (texts.stderr += chunk.toString()))
  onTestFailed(
    () => void process.stderr.write(`${program} ${args.join(' ')} printed:\n${texts.stdout}${texts.stderr}\n`),
  )
  const ended = once(child, 'close').then(([code]: unknown[]) => (typeof code === 'number' ? code : null))
  return {
    pid: child.pid ?? 0,
    stdout: () => texts.stdout,
    stderr: () => texts.stderr,
    text: () => texts.stdout + texts.stderr,
    ended,
    kill: (signal) => void child.kill(signal),
    closeOutput: () => {
      child.stdout.destroy()
      child.stderr.destroy()
    },
  }
}

/** Waits until a command has printed something; a command that ends without it has failed. */
export async function shows(run: Run, text: string): Promise<void> {
  let code: number | null | undefined
  const ended = run.ended.then((end) => (code = end))
  while (!run.stdout().includes(text)) {
    if (code !== undefined) throw new Error(`it ended with ${code} before it showed "${text}":\n${run.text()}`)
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 25))])
  }
}

/** A state folder; whatever a failed test leaves running there is ended with it. */
export function stateFolder(): string {
  const home = temporaryFolder()
  chmodSync(home, 0o755)
  onTestFinished(() => {
    for (const identity of [...Object.values(processesOf(home)), ...agentsOf(home)]) signalProcess(identity, 'SIGKILL')
  })
  return home
}

/** The agents that the factory has started, dead or alive, as long as their launches are not forgotten. */
export function agentsOf(home: string): ProcessIdentity[] {
  const launches = path.join(home, 'factory/launches')
  if (!existsSync(launches)) return []
  return readdirSync(launches)
    .map((launch) => path.join(launches, launch, 'agent.json'))
    .filter((file) => existsSync(file))
    .map((file) => JSON.parse(readFileSync(file, 'utf8')) as ProcessIdentity)
}

/** The services and servers that the files in a state folder name, dead or alive. */
export function processesOf(home: string): Record<string, ProcessIdentity> {
  const read = (file: string): Record<string, unknown> => {
    const full = path.join(home, file)
    return existsSync(full) ? (JSON.parse(readFileSync(full, 'utf8')) as Record<string, unknown>) : {}
  }
  const services = Object.entries(read('platform/processes.json')) as [string, ProcessIdentity][]
  const servers = Object.entries(read('stack/servers.json')) as [string, { process?: ProcessIdentity }][]
  const running = servers.flatMap(([name, { process: identity }]) =>
    identity === undefined ? [] : [[name, identity] as const],
  )
  return Object.fromEntries([...services, ...running])
}

/** All that was seen to run until the command ended. */
export async function whileUp(run: Run, home: string): Promise<ProcessIdentity[]> {
  const seen = new Map<number, ProcessIdentity>()
  let isOver = false
  const over = run.ended.then(() => (isOver = true))
  while (!isOver) {
    for (const identity of [...Object.values(processesOf(home)), ...agentsOf(home)]) seen.set(identity.pid, identity)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  await over
  return [...seen.values()]
}

/** A small repository with faults that the audit must find. */
export function faultyRepository(home: string): string {
  const dir = path.join(home, 'repository')
  mkdirSync(dir, { recursive: true })
  const settings = [
    'from pydantic_settings import BaseSettings',
    '',
    '',
    'class Settings(BaseSettings):',
    '    JWT_SECRET: str = "changethis"',
    '',
  ]
  const work = [
    'def work(items):',
    '    for item in items:',
    '        try:',
    '            item.run()',
    '        except Exception:',
    '            pass',
    '',
  ]
  writeFileSync(path.join(dir, 'settings.py'), settings.join('\n'))
  writeFileSync(path.join(dir, 'work.py'), work.join('\n'))
  return dir
}
