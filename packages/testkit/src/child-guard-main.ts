import { signalProcess } from '@hypercode/local-stack'
import type { ProcessIdentity } from '@hypercode/local-stack'

// Started by `endWithUs`: one identity per line, until the process that started us is gone.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)

let text = ''
for await (const chunk of process.stdin) text += String(chunk)
for (const line of text.split('\n').filter((entry) => entry !== '')) {
  signalProcess(JSON.parse(line) as ProcessIdentity, 'SIGKILL')
}
