import { connect } from 'node:net'

/**
 * Logs in to Redis on 127.0.0.1 and pings it.
 *
 * @throws Error with the server's own words (`LOADING ...`, `WRONGPASS ...`), or when it is silent for `timeoutMs`
 */
export async function pingRedis(port: number, password: string, timeoutMs = 2_000): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    const end = (error?: Error): void => {
      clearTimeout(timer)
      socket.destroy()
      if (error === undefined) resolve()
      else reject(error)
    }
    const timer = setTimeout(() => end(new Error(`port ${port} gave no answer in ${timeoutMs} ms`)), timeoutMs)
    let answer = ''
    socket.once('connect', () => socket.write(command('AUTH', password) + command('PING')))
    socket.on('data', (chunk) => {
      answer += chunk.toString()
      const refused = /^-(.*)\r\n/m.exec(answer)?.[1]
      if (refused !== undefined) end(new Error(refused))
      else if (answer === '+OK\r\n+PONG\r\n') end()
    })
    socket.once('error', end)
    socket.once('close', () => end(new Error(`port ${port} closed the connection`)))
  })
}

function command(...words: string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`
}
