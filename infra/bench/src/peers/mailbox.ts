import pg from 'pg'

/** News of ended work by LISTEN, for queues that tell nobody: each with an id and its output. */
export interface Mailbox {
  /** Resolves with the output. To be called before the work is handed over. */
  expect(id: string): Promise<unknown>
  /** Called with what has no expectation. */
  onOther(listener: (news: News) => void): void
  close(): Promise<void>
}

export interface News {
  readonly id: string
  readonly output: unknown
}

const WAIT_MS = 60_000

export async function openMailbox(databaseUrl: string, channel: string): Promise<Mailbox> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  const waiting = new Map<string, (output: unknown) => void>()
  let other: (news: News) => void = () => undefined
  client.on('notification', ({ payload }) => {
    for (const news of [JSON.parse(payload ?? '[]') as News | News[]].flat()) {
      const settle = waiting.get(news.id)
      if (settle === undefined) other(news)
      else settle(news.output)
      waiting.delete(news.id)
    }
  })
  await client.query(`listen ${channel}`)
  return {
    expect: async (id) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(id)
          reject(new Error(`no news of ${id} within ${WAIT_MS} ms`))
        }, WAIT_MS)
        waiting.set(id, (output) => {
          clearTimeout(timer)
          resolve(output)
        })
      }),
    onOther(listener) {
      other = listener
    },
    close: async () => client.end(),
  }
}
