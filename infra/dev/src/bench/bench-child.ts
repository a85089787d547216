import { fork } from 'node:child_process'

export interface BenchChild {
  readonly pid: number | undefined
  /** Hands what it says after it was ready to the listener. */
  onMessage(listener: (message: unknown) => void): void
  /** Ends it by cutting the channel, by which it notices, and kills it when it has not noticed in time. */
  stop(): Promise<void>
}

const READY_MS = 20_000
const STOP_MS = 5000

/**
 * A program of the benchmark in a process of its own. It says `ready` to its parent when it is, and ends when the channel does: nothing is
 * left running when the parent is killed.
 */
export async function startBenchChild(file: string, env: Readonly<Record<string, string>>): Promise<BenchChild> {
  const child = fork(file, [], {
    execArgv: ['--conditions=@hypercode/source'],
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`${file} was not ready within ${READY_MS} ms`))
    }, READY_MS)
    child.once('message', () => {
      clearTimeout(timer)
      resolve()
    })
    child.once('exit', (code) => {
      clearTimeout(timer)
      reject(new Error(`${file} ended with ${code}`))
    })
  })
  return {
    pid: child.pid,
    onMessage: (listener) => void child.on('message', listener),
    async stop() {
      if (child.connected) child.disconnect()
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
      await gone
      clearTimeout(timer)
    },
  }
}
