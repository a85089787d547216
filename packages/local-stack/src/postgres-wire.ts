import type { Socket } from 'node:net'
import { connect } from 'node:net'
import { scramLogin } from './scram.ts'

/** Where and as whom to log in. Host is always 127.0.0.1. */
export interface PostgresLogin {
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
}

/** What Postgres or PgBouncer answered instead of rows; `code` is the SQLSTATE. */
export class PostgresRefusal extends Error {
  override readonly name = 'PostgresRefusal'
  readonly code: string
  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

/** Rows as text; null is SQL NULL. */
export type TextRows = (string | null)[][]

/**
 * Logs in, runs `sql` by the simple protocol, and hangs up. It is here to ask "do you really answer?" and to create
 * roles without needing psql or a driver: one call, one connection, no types.
 *
 * @throws {PostgresRefusal} for an answer of the server, Error when it does not answer within `timeoutMs`
 */
export async function queryPostgres(login: PostgresLogin, sql: string, timeoutMs = 5_000): Promise<TextRows> {
  return await new Promise((resolve, reject) => {
    const socket = connect(login.port, '127.0.0.1')
    const end = (settle: () => void): void => {
      clearTimeout(timer)
      socket.destroy()
      settle()
    }
    const fail = (error: Error): void => end(() => reject(error))
    const timer = setTimeout(() => fail(new Error(`port ${login.port} gave no answer in ${timeoutMs} ms`)), timeoutMs)
    const conversation = new Conversation(socket, login, sql, (rows) => end(() => resolve(rows)))
    socket.once('connect', () => conversation.open())
    socket.on('data', (chunk) => {
      try {
        conversation.read(chunk)
      } catch (error) {
        fail(error instanceof Error ? error : new Error(String(error)))
      }
    })
    socket.once('error', fail)
    socket.once('close', () => fail(new Error(`port ${login.port} closed the connection`)))
  })
}

/** The client's side of the frontend/backend protocol 3.0, as far as one simple query needs it. */
class Conversation {
  readonly #socket: Socket
  readonly #login: PostgresLogin
  readonly #sql: string
  readonly #done: (rows: TextRows) => void
  readonly #scram: ReturnType<typeof scramLogin>
  readonly #rows: TextRows = []
  #buffer: Buffer = Buffer.alloc(0)
  #asked = false

  constructor(socket: Socket, login: PostgresLogin, sql: string, done: (rows: TextRows) => void) {
    this.#socket = socket
    this.#login = login
    this.#sql = sql
    this.#done = done
    this.#scram = scramLogin(login.password)
  }

  open(): void {
    const { user, database } = this.#login
    const pairs = ['user', user, 'database', database, 'application_name', 'hypercode-local-stack']
    const body = Buffer.concat([int32(196_608), ...pairs.map(cstring), Buffer.from([0])])
    this.#socket.write(Buffer.concat([int32(body.length + 4), body]))
  }

  read(chunk: Buffer): void {
    this.#buffer = Buffer.concat([this.#buffer, chunk])
    while (this.#buffer.length >= 5) {
      const length = this.#buffer.readInt32BE(1)
      if (this.#buffer.length < length + 1) return
      const type = String.fromCharCode(this.#buffer[0] ?? 0)
      const body = this.#buffer.subarray(5, length + 1)
      this.#buffer = this.#buffer.subarray(length + 1)
      this.#handle(type, body)
    }
  }

  #handle(type: string, body: Buffer): void {
    if (type === 'E') throw refusal(body)
    if (type === 'R') this.#authenticate(body.readInt32BE(0), body.subarray(4))
    if (type === 'D') this.#rows.push(columns(body))
    if (type !== 'Z') return // notices, parameters, row descriptions and the like carry nothing we need
    if (this.#asked) return this.#done(this.#rows)
    this.#asked = true
    this.#send('Q', cstring(this.#sql))
  }

  #authenticate(step: number, body: Buffer): void {
    if (step === 0) return
    if (step === 10) {
      const first = Buffer.from(this.#scram.first)
      return this.#send('p', Buffer.concat([cstring('SCRAM-SHA-256'), int32(first.length), first]))
    }
    if (step === 11) return this.#send('p', Buffer.from(this.#scram.answer(body.toString())))
    if (step === 12) return this.#scram.verify(body.toString())
    throw new Error(`port ${this.#login.port} asks for an unexpected kind of login (${step})`)
  }

  #send(type: string, body: Buffer): void {
    this.#socket.write(Buffer.concat([Buffer.from(type), int32(body.length + 4), body]))
  }
}

function columns(body: Buffer): (string | null)[] {
  let at = 2
  return Array.from({ length: body.readInt16BE(0) }, () => {
    const length = body.readInt32BE(at)
    at += 4
    if (length === -1) return null
    at += length
    return body.toString('utf8', at - length, at)
  })
}

function refusal(body: Buffer): PostgresRefusal {
  const fields = new Map(
    body
      .toString()
      .split('\0')
      .map((field) => [field.slice(0, 1), field.slice(1)] as const),
  )
  return new PostgresRefusal(fields.get('C') ?? '', fields.get('M') ?? 'unknown error')
}

function int32(value: number): Buffer {
  const buffer = Buffer.alloc(4)
  buffer.writeInt32BE(value)
  return buffer
}

function cstring(text: string): Buffer {
  return Buffer.from(`${text}\0`)
}
